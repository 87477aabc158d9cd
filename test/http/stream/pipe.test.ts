import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { ReadableStream } from 'node:stream/web';
import { setTimeout as pause } from 'node:timers/promises';
import { SseError } from '../../../lib/base/error';
import type { SseSource } from '../../../lib/http/source';
import type { SseStream } from '../../../lib/http/stream';
import { eventually } from '../../support/eventually';
import { hubServers } from '../../support/hub';
import { endless, opening, stuck } from '../../support/opening';
import { Stream } from '../../support/stream';

const json = (data: string): unknown => JSON.parse(data) as unknown;
const count = (n: number): string[] => Array.from({ length: n }, (_, i) => String(i));

describe('pipe', () => {
  const start = hubServers();

  const sources: Record<string, () => unknown> = {
    'an array': () => ['a', { data: 'é' }],
    'a generator': () =>
      (function* () {
        yield 'a';
        yield { data: 'é' };
      })(),
    'an async generator': () =>
      (async function* () {
        yield 'a';
        await pause(1);
        yield { data: 'é' };
      })(),
    'a promise of one': async () => ['a', 'é'],
    'a Readable of objects': () => Readable.from(['a', { data: 'é' }]),
    'a Readable of text': () => Readable.from(['a', 'é']).setEncoding('utf8'),
    'a Readable of bytes, cut within a character': () =>
      Readable.from([Buffer.from('a'), Buffer.from([0xc3]), Buffer.from([0xa9])]),
    'a web stream': () => ReadableStream.from(['a', { data: 'é' }]),
    'a web stream of bytes': () => ReadableStream.from([new Uint8Array([97]), new Uint8Array([0xc3, 0xa9])]),
  };
  for (const [what, source] of Object.entries(sources)) {
    it(`sends what comes from ${what}, then ends the stream`, async () => {
      const { url } = await start((hub, request, response) => hub.open(request, response).pipe(source() as SseSource));
      assert.deepEqual((await (await Stream.open(url)).untilEnd()).data, ['a', 'é']);
    });
  }

  it('leaves the stream open for more with end: false', async () => {
    const { url } = await start(async (hub, request, response) => {
      const stream = hub.open(request, response);
      await stream.pipe(['a'], { end: false });
      await stream.pipe(['b'], { end: false });
      await stream.send('c');
      stream.close();
      stream.close();
    });
    assert.deepEqual((await (await Stream.open(url)).untilEnd()).data, ['a', 'b', 'c']);
  });

  it('pulls no more than the client takes, holds no more than that, and loses nothing', async () => {
    const source = endless((i) => `${i} ${'x'.repeat(50_000)}`);
    let piped = Promise.resolve();
    const { hub, url } = await start((hub, request, response) => {
      piped = hub.open(request, response).pipe(source);
    });
    const client = await Stream.open(url);
    client.pause();
    let before = -1;
    // Until the kernel takes no more.
    while (source.pulled !== before) {
      before = source.pulled;
      await pause(200);
    }
    assert.ok(before > 0 && before < 1_000, `${before} were pulled`);
    assert.ok(hub.stats.unsentBytes < 200_000, `${hub.stats.unsentBytes} bytes wait`);
    client.resume();
    await client.untilMessages(before + 200);
    assert.deepEqual(
      client.data.map((data) => data.split(' ')[0]),
      count(client.data.length),
    );
    client.close();
    await piped;
    assert.equal(source.returned, 1);
  });

  it('leaves room for what is published, however fast its source is', async () => {
    const source = endless(() => 'x'.repeat(100_000));
    const { hub, url } = await start((hub, request, response) => {
      void hub.open(request, response, { keys: ['a'] }).pipe(source);
    });
    const client = await Stream.open(url);
    await client.untilMessages(20);
    for (let i = 0; i < 5; i++) {
      const { clients } = await hub.publish('a', `live ${i}`, { confirm: true });
      assert.equal(clients, 1);
    }
    await client.until(({ data }) => data.includes('live 4'));
    client.close();
    await eventually(() => source.returned === 1);
  });

  it('lets others have their turn while a source always has more and a client always reads', async () => {
    const source = endless();
    const { url } = await start((hub, request, response) => {
      void hub.open(request, response).pipe(source);
    });
    const clients = [await Stream.open(url), await Stream.open(url)];
    for (const client of clients) await client.untilMessages(20_000);
    for (const client of clients) client.close();
    await eventually(() => source.returned === 2);
  });

  const failures: [string, unknown, { code: string; message: string }][] = [
    [
      'nothing of an error that is not meant for it',
      Object.assign(new Error('password hunter2'), { code: 'ER_DB', status: 400 }),
      { code: 'ERR_SSE_SOURCE', message: 'something failed on the server; this stream ends here' },
    ],
    [
      'the text of an error that says it may be told',
      Object.assign(new Error('no such chat'), { status: 404, expose: true }),
      { code: 'ERR_SSE_SOURCE', message: 'no such chat' },
    ],
    ['an SseError', new SseError('ERR_MINE', 'this and that'), { code: 'ERR_MINE', message: 'this and that' }],
    [
      'nothing of what is no error',
      null,
      { code: 'ERR_SSE_SOURCE', message: 'something failed on the server; this stream ends here' },
    ],
  ];
  for (const [what, error, told] of failures) {
    it(`tells the client ${what}, ends, and logs it once`, async () => {
      let stream: SseStream | undefined;
      const { url, logged } = await start(async (hub, request, response) => {
        stream = hub.open(request, response, { keys: [] });
        await stream.pipe(
          (async function* () {
            yield 'a';
            throw error;
          })(),
        );
      });
      const client = await (await Stream.open(url)).untilEnd();
      assert.deepEqual(client.data, ['a']);
      assert.deepEqual(
        client.own('error').map(({ data }) => json(data)),
        [told],
      );
      assert.equal(client.events.at(-1)!.event, 'sse:error');
      assert.equal(await stream!.closed, 'failed');
      assert.equal(logged.length, 1);
    });
  }

  it('takes a message that cannot be sent, and a source that is none, for an error of the source', async () => {
    const bad = endless(() => 7 as unknown as string);
    const { url, logged } = await start((hub, request, response) => {
      const source = request.url === '/bad' ? bad : request.url === '/text' ? 'text' : undefined;
      return hub.open(request, response).pipe(source as unknown as SseSource);
    });
    for (const [path, code] of [
      ['bad', 'ERR_SSE_MESSAGE'],
      ['text', 'ERR_SSE_SOURCE'],
      ['none', 'ERR_SSE_SOURCE'],
    ] as const) {
      const client = await (await Stream.open(url + path)).untilEnd();
      assert.equal((json(client.own('error')[0]!.data) as { code: string }).code, code);
    }
    assert.equal(bad.returned, 1);
    assert.equal(logged.length, 3);
  });

  it('stops its source at once when the client leaves, even one that is stuck, and resolves', async () => {
    const given = {
      stuck: stuck(),
      readable: new Readable({ read: () => undefined }),
      web: new ReadableStream({ cancel: () => void (isCancelled = true) }),
    };
    let isCancelled = false;
    let hasLeft = false;
    const generator = async function* (signal: AbortSignal): AsyncGenerator<string> {
      try {
        yield 'a';
        await once(signal, 'abort');
      } finally {
        hasLeft = true;
      }
    };
    const piped: Promise<void>[] = [];
    const { url, logged } = await start((hub, request, response) => {
      const stream = hub.open(request, response);
      piped.push(...Object.values(given).map((source) => stream.pipe(source)), stream.pipe(generator(stream.signal)));
    });
    const client = await Stream.open(url);
    await client.untilMessages(1);
    client.close();
    await eventually(() => piped.length === 4);
    await Promise.all(piped);
    await eventually(() => hasLeft && isCancelled);
    assert.equal(given.stuck.returned, 1);
    assert.equal(given.readable.destroyed, true);
    assert.deepEqual(logged, []);
  });

  it('stops a source that is handed over when the stream is over', async () => {
    const handle = opening();
    const { url } = await start(handle);
    (await Stream.open(url)).close();
    await handle.streams[0]!.closed;
    const [source, readable] = [endless(), Readable.from(['a'])];
    await handle.streams[0]!.pipe(source);
    await handle.streams[0]!.pipe(readable);
    assert.deepEqual([source.pulled, source.returned], [0, 1]);
    await eventually(() => readable.destroyed);
  });
});
