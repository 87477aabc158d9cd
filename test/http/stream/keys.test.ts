import assert from 'node:assert/strict';
import { hubServers } from '../../support/hub';
import { opening } from '../../support/opening';
import { Stream } from '../../support/stream';

const json = (data: string): unknown => JSON.parse(data) as unknown;

describe('a stream with keys', () => {
  const start = hubServers();

  it('gets hello, what is published and what is sent, and bye', async () => {
    const handle = opening({ keys: ['a'], retry: 123 });
    const { hub, url } = await start(handle);
    const client = await Stream.open(url);
    await client.until(({ events }) => events.length > 0);
    assert.deepEqual(client.retries, [123]);
    assert.deepEqual((json(client.own('hello')[0]!.data) as { keys: string[] }).keys, ['a']);
    await hub.publish('b', 'no');
    await hub.publish('a', 'live');
    await client.untilMessages(1);
    await handle.streams[0]!.send('own');
    await hub.publishAll('to all');
    await client.untilMessages(3);
    assert.deepEqual(client.data, ['live', 'own', 'to all']);
    handle.streams[0]!.close();
    await client.untilEnd();
    assert.deepEqual(
      client.own('bye').map(({ data }) => json(data)),
      [{ reason: 'closed' }],
    );
  });

  it('resumes as the endpoint does, and is told of gaps', async () => {
    const { hub, url } = await start(opening({ keys: ['a'] }));
    const client = await Stream.open(url);
    await hub.publish('a', '1');
    await client.untilMessages(1);
    client.close();
    await hub.publish('a', '2');
    const again = await Stream.open(url, { headers: { 'Last-Event-ID': client.lastEventId } });
    await again.untilMessages(1);
    assert.deepEqual(again.data, ['2']);
    const lost = await Stream.open(`${url}?lastEventId=nobody-knows`);
    await lost.until((each) => each.own('gap').length === 1);
    for (const each of [again, lost]) each.close();
  });

  it('asks the authorizer for them, and gets what is granted', async () => {
    let asked: unknown;
    const { hub, url } = await start(opening({ keys: ['a', 'b'] }), {
      authorize: (_, given) => ((asked = given), { keys: ['b'] }),
    });
    const client = await Stream.open(url);
    assert.deepEqual(asked, { keys: ['a', 'b'] });
    await hub.publish('a', 'no');
    await hub.publish('b', 'yes');
    await client.untilMessages(1);
    assert.deepEqual(client.data, ['yes']);
    client.close();
  });
});
