// An app and its agent in one process (Egg's single mode), which publish to a client; prints what came of it.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { start, type Agent, type Application } from 'egg';
import { sseSchedule } from '../../lib';
import { Stream } from './stream';

async function main(): Promise<void> {
  const app = (await start({ baseDir: join(__dirname, '../fixtures/apps/basic') })) as Application & { agent: Agent };
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const stream = await Stream.open(`http://127.0.0.1:${port}/stream?connectKey=a`);
  const receipts = [
    await app.sse.publish('a', '1'),
    await app.sse.publish('a', '2', { reach: 'process' }),
    await app.agent.sse.publish('a', '3'),
  ];
  // A schedule publishes there, too.
  const { task } = sseSchedule({ interval: '1h', key: 'a', load: () => '4' });
  for (let i = 0; i < 2; i++) await task(app.createAnonymousContext());
  await app.sse.publish('a', '5');
  await stream.untilMessages(5);
  const total = await app.agent.sse.total('a');
  const closed = app.close();
  await stream.untilEnd();
  await closed;
  const received = stream.messages.slice(0, 3).map(({ id }) => id);
  const { data } = stream;
  console.log(
    JSON.stringify({ published: receipts.map(({ id }) => id), received, data, total, byes: stream.own('bye').length }),
  );
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
