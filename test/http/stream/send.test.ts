import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { SseError } from '../../../lib/base/error';
import { eventually } from '../../support/eventually';
import { hubServers } from '../../support/hub';
import { isClosed, opening } from '../../support/opening';
import { Stream } from '../../support/stream';

const count = (n: number): string[] => Array.from({ length: n }, (_, i) => String(i));

describe('send', () => {
  const start = hubServers();

  it('waits until the client is let in, and keeps the order', async () => {
    let admit = (): void => undefined;
    const admitted = new Promise<void>((resolve) => (admit = resolve));
    const { url } = await start(
      (hub, request, response) => {
        const stream = hub.open(request, response);
        for (const message of count(100)) void stream.send(message);
        stream.close();
        admit();
      },
      { authorize: async () => (await admitted, {}) },
    );
    assert.deepEqual((await (await Stream.open(url)).untilEnd()).data, count(100));
  });

  it('refuses what publish refuses, sends nothing of it, and is no unhandledRejection', async () => {
    const handle = opening();
    const { url, logged } = await start(handle);
    const client = await Stream.open(url);
    const [stream] = handle.streams;
    await assert.rejects(stream!.send({ event: 'a\nb', data: 1 }), { code: 'ERR_SSE_EVENT' });
    await assert.rejects(stream!.send({ event: 'sse:bye', data: 1 }), { code: 'ERR_SSE_EVENT' });
    await assert.rejects(stream!.send({ data: 1n }), { code: 'ERR_SSE_DATA' });
    await assert.rejects(stream!.send(7 as never), { code: 'ERR_SSE_MESSAGE' });
    assert.deepEqual(logged, []);
    void stream!.send({ id: '' });
    await eventually(() => logged.length === 1);
    assert.match(logged[0]!, /a message was not sent, and nobody awaited it[\s\S]*ERR_SSE_ID/);
    await stream!.send('right');
    stream!.close();
    assert.equal((await client.untilEnd()).text, 'data: right\n\n');
  });

  it('rejects once the stream is over, which is in no log', async () => {
    const handle = opening();
    const { url, logged } = await start(handle);
    const client = await Stream.open(url);
    client.close();
    const [stream] = handle.streams;
    await once(stream!.signal, 'abort');
    assert.ok(isClosed(stream!.signal.reason));
    await assert.rejects(stream!.send('a'), isClosed);
    void stream!.send('b');
    stream!.close();
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    assert.deepEqual(logged, []);
  });

  it('refuses more than maxUnsentBytes for a client that reads nothing, and takes more when it reads again', async () => {
    const handle = opening();
    const maxUnsentBytes = 500_000;
    const { hub, url, logged } = await start(handle, { maxUnsentBytes });
    const client = await Stream.open(url);
    client.pause();
    const [stream] = handle.streams;
    const sent: Promise<void>[] = [];
    const refused: unknown[] = [];
    const text = 'x'.repeat(100_000);
    while (refused.length === 0) {
      const sending = stream!.send(text);
      sending.catch((error: unknown) => refused.push(error));
      sent.push(sending);
      await new Promise((resolve) => setImmediate(resolve));
      assert.ok(hub.stats.unsentBytes <= maxUnsentBytes + 200_000, `${hub.stats.unsentBytes} bytes wait`);
    }
    assert.equal((refused[0] as SseError).code, 'ERR_SSE_UNSENT');
    for (let i = 0; i < 10; i++) void stream!.send(text);
    await eventually(() => logged.length > 0);
    client.resume();
    await Promise.allSettled(sent);
    await stream!.send('more');
    stream!.close();
    await client.untilEnd();
    assert.equal(client.data.length, sent.length - 1 + 1);
    assert.equal(client.data.at(-1), 'more');
    assert.equal(logged.length, 1);
  });

  it('takes one message that is larger than maxUnsentBytes', async () => {
    const { url } = await start(
      (hub, request, response) => hub.open(request, response).pipe(['x'.repeat(300_000), 'y'.repeat(300_000)]),
      { maxUnsentBytes: 1_000 },
    );
    const { data } = await (await Stream.open(url)).untilEnd();
    assert.deepEqual(
      data.map((text) => text.length),
      [300_000, 300_000],
    );
  });
});

describe('close', () => {
  const start = hubServers();

  it('leaves a client that does not read for a while the time to read what was sent', async () => {
    const text = 'x'.repeat(20_000_000);
    const { hub, url } = await start((hub, request, response) => {
      const stream = hub.open(request, response);
      void stream.send(text);
      stream.close();
    });
    const client = await Stream.open(url);
    client.pause();
    await eventually(() => hub.countAll() === 0);
    // Longer than the 2 s that a client has whom someone else sends away.
    await pause(2_500);
    client.resume();
    await client.untilEnd();
    assert.equal(client.data[0]?.length, text.length);
    assert.ok(client.response.complete);
  });
});
