import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { ReadableStream } from 'node:stream/web';
import { setTimeout as pause } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { EventSource } from 'eventsource';
import OpenAI from 'openai';
import type { CloseReason } from '../../lib/connection/connection';
import { createHub } from '../../lib/create_hub';
import { SseError } from '../../lib/base/error';
import type { SseSource } from '../../lib/http/source';
import type { SseStream } from '../../lib/http/stream';
import { user } from '../../lib/message/keys';
import { eventually } from '../support/eventually';
import { hubServers, type Handler } from '../support/hub';
import { raw } from '../support/raw';
import { Stream } from '../support/stream';

const json = (data: string): unknown => JSON.parse(data) as unknown;
const count = (n: number): string[] => Array.from({ length: n }, (_, i) => String(i));

/** A handler that opens each request as a stream and keeps it for the test. */
function opening(...options: Parameters<SseStreamOpener>): Handler & { readonly streams: SseStream[] } {
  const streams: SseStream[] = [];
  return Object.assign<Handler, { streams: SseStream[] }>(
    (hub, request, response) => streams.push(hub.open(request, response, ...options)),
    { streams },
  );
}
type SseStreamOpener = (options?: Parameters<ReturnType<typeof createHub>['open']>[2]) => void;

/** A source that counts what is pulled, and tells when it is told to stop. */
function endless(
  message = (i: number): string => String(i),
): AsyncIterable<string> & { pulled: number; returned: number } {
  const source = {
    pulled: 0,
    returned: 0,
    [Symbol.asyncIterator]: () => ({
      next: async () => ({ done: false, value: message(source.pulled++) }),
      return: async (): Promise<IteratorResult<string>> => {
        source.returned++;
        return { done: true, value: undefined };
      },
    }),
  };
  return source;
}

/** A source that never gives anything. */
function stuck(): AsyncIterable<string> & { returned: number } {
  const source = {
    returned: 0,
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise<IteratorResult<string>>(() => undefined),
      return: async (): Promise<IteratorResult<string>> => {
        source.returned++;
        return { done: true, value: undefined };
      },
    }),
  };
  return source;
}

const isClosed = (error: unknown): boolean => error instanceof SseError && error.code === 'ERR_SSE_CLOSED';

describe('a stream of a handler', () => {
  const start = hubServers();

  describe('a stream for one request', () => {
    it('has its head out at once, then what is sent and nothing else, then the end', async () => {
      const handle = opening();
      const { hub, url } = await start(handle);
      const client = await Stream.open(url);
      assert.equal(client.status, 200);
      assert.equal(client.headers['content-type'], 'text/event-stream');
      assert.equal(client.headers['cache-control'], 'no-cache, no-transform');
      const [stream] = handle.streams;
      await hub.publishAll('not for it');
      await stream!.send('one');
      await stream!.send({ event: 'two', data: { b: 2 }, id: 'mine' });
      stream!.close();
      await client.untilEnd();
      assert.ok(client.response.complete);
      assert.equal(client.text, 'data: one\n\nevent: two\ndata: {"b":2}\nid: mine\n\n');
      assert.equal(await stream!.closed, 'closed');
    });

    it('is opened by any method; HEAD gets the head alone', async () => {
      const { hub, url } = await start((hub, request, response) => {
        const stream = hub.open(request, response);
        void stream.pipe([`by ${request.method}`]);
      });
      for (const method of ['GET', 'POST', 'PUT']) {
        const client = await (await Stream.open(url, { method })).untilEnd();
        assert.deepEqual(client.data, [`by ${method}`]);
      }
      const head = await (await Stream.open(url, { method: 'HEAD' })).untilEnd();
      assert.equal(head.headers['content-type'], 'text/event-stream');
      assert.equal(head.text, '');
      assert.equal(hub.countAll(), 0);
    });

    it('is read by curl and others, whatever they accept', async () => {
      const { server } = await start((hub, request, response) => hub.open(request, response).pipe(['a', 'b']));
      const { port } = server.address() as AddressInfo;
      const client = await raw(
        port,
        'POST / HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\nConnection: close\r\n\r\n',
      );
      await eventually(() => client.ended());
      assert.match(client.read(), /^HTTP\/1\.1 200 OK\r\nContent-Type: text\/event-stream\r\n/);
      assert.match(client.read(), /\r\ndata: a\n\n\r\n/);
    });

    it('counts as a connection, and says when it opens and why it ends', async () => {
      const handle = opening({ data: { chat: 7 } });
      const { hub, url } = await start(handle, { authorize: () => ({ user: 'ann', keys: ['a'], data: 'grant' }) });
      const events: unknown[] = [];
      hub.on('open', (event) => events.push(event));
      hub.on('close', ({ openMs: _, ...event }) => events.push(event));
      const client = await Stream.open(url);
      assert.equal(hub.countAll(), 1);
      assert.equal(hub.count(user('ann')), 1);
      assert.equal(hub.count('a'), 0);
      assert.equal(hub.stats.connections, 1);
      client.close();
      assert.equal(await handle.streams[0]!.closed, 'client');
      const common = { keys: [], user: 'ann', data: { chat: 7 } };
      assert.deepEqual(events, [
        { ...common, resumed: false },
        { ...common, reason: 'client' },
      ]);
      assert.deepEqual([hub.countAll(), hub.stats.pools], [0, 0]);
    });

    it('takes headers of its own, and those that the handler has set', async () => {
      const { url } = await start(
        (hub, request, response) => {
          response.setHeader('X-Own', 'yes');
          response.setHeader('Content-Length', '3');
          hub
            .open(request, response, { headers: { 'X-Model': 'm', 'cache-control': 'no-store', 'X-All': null } })
            .close();
        },
        { headers: { 'X-All': 'all', 'X-Every': 'every' } },
      );
      const { headers } = await (await Stream.open(url)).untilEnd();
      assert.deepEqual(
        [headers['x-own'], headers['x-model'], headers['cache-control'], headers['x-all'], headers['x-every']],
        ['yes', 'm', 'no-store', undefined, 'every'],
      );
    });

    it('is pinged while it is quiet', async () => {
      const { url } = await start(opening(), { pingInterval: 50 });
      const client = await Stream.open(url);
      await client.until(({ comments }) => comments.length >= 2);
      assert.equal(client.events.length, 0);
      client.close();
    });

    it('is never compressed, but with keys is as others are', async () => {
      const { hub, url } = await start(
        (hub, request, response) => {
          const keys = request.url === '/keys' ? ['a'] : undefined;
          const stream = hub.open(request, response, { keys, first: 'first' });
          void stream.send('sent');
          if (keys === undefined) stream.close();
        },
        { compression: true },
      );
      // It asks for gzip.
      const own = await fetch(url);
      assert.equal(own.headers.get('content-encoding'), null);
      assert.equal(await own.text(), 'data: first\n\ndata: sent\n\n');
      const leaving = new AbortController();
      const shared = await fetch(`${url}keys`, { signal: leaving.signal });
      assert.equal(shared.headers.get('content-encoding'), 'gzip');
      await eventually(() => hub.count('a') === 1);
      await hub.publish('a', 'live');
      const reader = shared.body!.pipeThrough(new TextDecoderStream()).getReader();
      let text = '';
      while (!text.includes('live')) text += (await reader.read()).value ?? '';
      assert.deepEqual(text.match(/(?<=^data: )\w+$/gm), ['first', 'sent', 'live']);
      leaving.abort();
    });

    it('says when to come back only if it is told to', async () => {
      const { url } = await start((hub, request, response) => hub.open(request, response, { retry: 70 }).pipe(['a']));
      assert.equal((await (await Stream.open(url)).untilEnd()).text, 'retry: 70\n\ndata: a\n\n');
    });

    it('is opened once, with options that are right, or the request is as it was', async () => {
      const { url } = await start((hub, request, response) => {
        const code = (options: object): string => {
          try {
            hub.open(request, response, options);
            return '';
          } catch (error) {
            return `${(error as SseError).code}: ${(error as SseError).message}`;
          }
        };
        const codes = [
          code({ key: 'a' }),
          code({ keys: 'a' }),
          code({ keys: [1] }),
          code({ retry: -1 }),
          code({ headers: { 'X-A': 'a\nb' } }),
          code({ first: { event: 'a\nb' } }),
          code(null as unknown as object),
        ];
        const stream = hub.open(request, response);
        codes.push(code({}));
        void stream.pipe(codes);
      });
      const { data } = await (await Stream.open(url)).untilEnd();
      assert.deepEqual(
        data.map((text) => text.split(': ')[0]),
        [...Array<string>(5).fill('ERR_SSE_OPTIONS'), 'ERR_SSE_EVENT', 'ERR_SSE_OPTIONS', 'ERR_SSE_OPEN'],
      );
      assert.match(data[0]!, /^ERR_SSE_OPTIONS: options\.key is not an option of egg-sse; there are keys, run, /);
    });

    it('is one on HTTP/2, too', async () => {
      const hub = createHub();
      const server = createHttp2Server((request, response) => void hub.open(request, response).pipe(count(3)));
      server.listen(0);
      await once(server, 'listening');
      const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
      try {
        const stream = session.request({ ':path': '/' });
        let text = '';
        stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        await once(stream, 'end');
        assert.equal(text, 'data: 0\n\ndata: 1\n\ndata: 2\n\n');
        assert.equal(hub.countAll(), 0);
      } finally {
        session.destroy();
        server.close();
      }
    });
  });

  describe('a stream that is not let in', () => {
    /** What a client and the handler hear of it. */
    async function refusalOf(url: string, streams: SseStream[], options: Parameters<typeof fetch>[1] = {}) {
      const source = endless();
      const response = await fetch(url, options);
      const stream = streams.at(-1)!;
      await stream.pipe(source);
      assert.equal(source.pulled, 0);
      assert.equal(source.returned, 1);
      assert.equal(stream.signal.aborted, true);
      await assert.rejects(stream.send('a'), (error) => error === stream.signal.reason);
      assert.equal(await stream.closed, 'refused');
      const { code } = (await response.json()) as { code: string };
      assert.equal(code, (stream.signal.reason as SseError).code);
      return { status: response.status, code };
    }

    it('is answered with what the authorizer threw', async () => {
      const handle = opening();
      const { url } = await start(handle, {
        authorize: () => {
          throw Object.assign(new Error('no'), { status: 403 });
        },
      });
      assert.deepEqual(await refusalOf(url, handle.streams), { status: 403, code: 'ERR_SSE_REFUSED' });
    });

    it('is answered 503 over maxClients, 429 over maxClientsPerUser', async () => {
      const handle = opening();
      const { url } = await start(handle, {
        maxClients: 2,
        maxClientsPerUser: 1,
        authorize: ({ url }) => ({ user: url! }),
      });
      const clients = [await Stream.open(`${url}a`)];
      assert.deepEqual(await refusalOf(`${url}a`, handle.streams), { status: 429, code: 'ERR_SSE_USER_CLIENTS' });
      clients.push(await Stream.open(`${url}b`));
      assert.deepEqual(await refusalOf(`${url}c`, handle.streams), { status: 503, code: 'ERR_SSE_OVERLOAD' });
      for (const client of clients) client.close();
    });

    it('is sent away by an event with overload: retry, but with 503 if it is no GET', async () => {
      const handle = opening();
      const { url } = await start(handle, { maxClients: 1, overload: 'retry' });
      const client = await Stream.open(url);
      const late = await (await Stream.open(url)).untilEnd();
      assert.deepEqual([late.status, late.own('busy').length], [200, 1]);
      const post = await refusalOf(url, handle.streams, { method: 'POST' });
      assert.deepEqual(post, { status: 503, code: 'ERR_SSE_OVERLOAD' });
      client.close();
    });

    it('is answered 400 for a key that nobody may ask for', async () => {
      const handle = opening({ keys: ['@user:bob'] });
      const { url } = await start(handle);
      assert.deepEqual(await refusalOf(url, handle.streams), { status: 400, code: 'ERR_SSE_KEY' });
    });

    it('is answered when the hub is going', async () => {
      const handle = opening();
      const { hub, url } = await start(handle);
      await hub.stop();
      const post = await refusalOf(url, handle.streams, { method: 'POST' });
      assert.deepEqual(post, { status: 503, code: 'ERR_SSE_SHUTDOWN' });
    });

    it('rejects what was sent before', async () => {
      const outcomes: Promise<PromiseSettledResult<void>[]>[] = [];
      const { url, logged } = await start(
        (hub, request, response) => {
          const stream = hub.open(request, response);
          outcomes.push(Promise.allSettled([stream.send('a'), stream.send('b')]));
          void stream.send('nobody awaits it');
        },
        {
          authorize: async () => {
            await pause(20);
            throw Object.assign(new Error('no'), { status: 401 });
          },
        },
      );
      assert.equal((await fetch(url)).status, 401);
      assert.deepEqual(
        (await outcomes[0]!).map(({ status }) => status),
        ['rejected', 'rejected'],
      );
      assert.deepEqual(logged, []);
    });
  });

  describe('send', () => {
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

  describe('pipe', () => {
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
        const { url } = await start((hub, request, response) =>
          hub.open(request, response).pipe(source() as SseSource),
        );
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

  describe('a stream with keys', () => {
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

  describe('first', () => {
    it('goes out before anything live, as a message', async () => {
      for (const keys of [undefined, ['a']]) {
        const { url } = await start((hub, request, response) => {
          const stream = hub.open(request, response, { keys, first: { event: 'first', data: 1 } });
          void stream.send('sent');
        });
        const client = await Stream.open(url);
        await client.untilMessages(2);
        assert.deepEqual(client.data, ['1', 'sent']);
        client.close();
      }
    });

    it('is loaded once the stream has its place: what is published meanwhile comes after it, once', async () => {
      let state = 0;
      const { hub, url } = await start((hub, request, response) => {
        const stream = hub.open(request, response, {
          keys: ['a'],
          first: async () => {
            const loaded = state;
            for (let i = 0; i < 20; i++) await hub.publish('a', String(++state));
            return { event: 'state', data: loaded };
          },
        });
        void stream.send('sent');
      });
      const client = await Stream.open(url);
      await client.untilMessages(22);
      await hub.publish('a', 'end');
      await client.untilMessages(23);
      assert.equal(client.messages[0]!.event, 'state');
      assert.deepEqual(
        client.data.filter((data) => data !== 'sent'),
        ['0', ...count(21).slice(1), 'end'],
      );
      client.close();
    });

    it('knows whether the client has missed anything', async () => {
      const seen: boolean[] = [];
      const { hub, url } = await start(
        opening({ keys: ['a'], first: ({ resumed }) => (seen.push(resumed), resumed ? undefined : 'state') }),
        { history: { count: 3 } },
      );
      const client = await Stream.open(url);
      await client.untilMessages(1);
      const { lastEventId } = client;
      assert.notEqual(lastEventId, '');
      client.close();
      await hub.publish('a', '1');
      const again = await Stream.open(`${url}?lastEventId=${lastEventId}`);
      await again.untilMessages(1);
      assert.deepEqual(again.data, ['1']);
      for (const message of count(9)) await hub.publish('a', message);
      const late = await Stream.open(`${url}?lastEventId=${lastEventId}`);
      await late.untilMessages(4);
      assert.deepEqual(late.data, ['state', '6', '7', '8']);
      assert.equal(
        late.events.findIndex(({ event }) => event === 'sse:gap'),
        1,
      );
      assert.deepEqual(seen, [false, true, false]);
      for (const each of [again, late]) each.close();
    });

    it('is asked for again by a client that was cut off before it', async () => {
      let load = (): void => undefined;
      const { hub, url } = await start(
        opening({
          keys: ['a'],
          first: async ({ resumed }) => {
            if (resumed) return undefined;
            await new Promise<void>((resolve) => (load = resolve));
            return 'state';
          },
        }),
        { pingInterval: 20 },
      );
      const cut = await Stream.open(url);
      await cut.until(({ comments }) => comments.length > 0);
      assert.deepEqual([cut.lastEventId, cut.events.length], ['', 0]);
      await hub.publish('a', '1');
      cut.close();
      load();
      const again = await Stream.open(url);
      await eventually(() => hub.countAll() === 1);
      await again.until(({ comments }) => comments.length > 0);
      await hub.publish('a', '2');
      load();
      await again.untilMessages(2);
      assert.deepEqual(again.data, ['state', '2']);
      again.close();
    });

    it('that fails is an error of the source: the client has no place then, and begins anew', async () => {
      const { url, logged } = await start(
        opening({
          keys: ['a'],
          first: async () => {
            throw new Error('secret');
          },
        }),
      );
      const client = await (await Stream.open(url)).untilEnd();
      assert.deepEqual([client.own('error').length, client.events.length, client.lastEventId], [1, 1, '']);
      assert.doesNotMatch(client.text, /secret/);
      assert.equal(logged.length, 1);
    });

    it('that comes too late disturbs nobody', async () => {
      let load = (_: string): void => undefined;
      const handle = opening({ first: () => new Promise<string>((resolve) => (load = resolve)) });
      const { hub, url, logged } = await start(handle);
      const client = await Stream.open(url);
      client.close();
      await handle.streams[0]!.closed;
      load('late');
      await eventually(() => hub.countAll() === 0);
      assert.deepEqual(logged, []);
    });
  });

  describe('a stream that others end', () => {
    it('is told so by all who may, with what an API client takes for an error, and its source is stopped', async () => {
      const authorize = { isWelcome: true };
      const { hub, url } = await start((hub, request, response) => hub.open(request, response).pipe(source), {
        authorize: () => {
          if (!authorize.isWelcome) throw Object.assign(new Error('not any more'), { status: 403 });
          return { user: 'ann' };
        },
      });
      const source = stuck();
      const reasons: CloseReason[] = [];
      hub.on('close', ({ reason }) => reasons.push(reason));
      const acts: (() => unknown)[] = [
        () => hub.closeAll(),
        () => hub.disconnect(user('ann'), { reason: 'enough' }),
        () => ((authorize.isWelcome = false), hub.reauthorize(user('ann'))),
        () => ((authorize.isWelcome = true), hub.stop()),
      ];
      const texts: unknown[] = [];
      for (const act of acts) {
        authorize.isWelcome = true;
        const client = await Stream.open(url);
        void act();
        await client.untilEnd();
        assert.ok(client.response.complete);
        texts.push(json(client.own('bye')[0]!.data));
      }
      const bye = (reason: string): object => ({ reason, error: { message: `this stream ended early: ${reason}` } });
      assert.deepEqual(texts, [bye('closed'), bye('enough'), bye('not any more'), bye('shutdown')]);
      assert.deepEqual(reasons, ['closed', 'disconnected', 'refused', 'shutdown']);
      await eventually(() => source.returned === 4);
    });

    it('ends when its time is up', async () => {
      const handle = opening();
      const { url } = await start(handle, { maxAge: 100 });
      const client = await (await Stream.open(url)).untilEnd();
      assert.equal((json(client.own('bye')[0]!.data) as { reason: string }).reason, 'age');
      assert.equal(await handle.streams[0]!.closed, 'age');
    });

    it('goes on, and hears nothing of it, when it is authorized anew', async () => {
      const handle = opening();
      let name = 'ann';
      const { hub, url } = await start(handle, { authorize: () => ({ user: name, keys: ['a'] }) });
      const client = await Stream.open(url);
      name = 'bob';
      await hub.reauthorize(user('ann'));
      await eventually(() => hub.count(user('bob')) === 1);
      await hub.publish([user('bob'), 'a'], 'not for it');
      await handle.streams[0]!.send('still there');
      handle.streams[0]!.close();
      assert.equal((await client.untilEnd()).text, 'data: still there\n\n');
      assert.equal(hub.stats.pools, 0);
    });

    it('ends with sse:error when its handler says so, after what was sent', async () => {
      const { url } = await start((hub, request, response) => {
        const stream = hub.open(request, response);
        void stream.send('a');
        stream.fail(new SseError('ERR_MINE', 'it did not work'));
      });
      const client = await (await Stream.open(url)).untilEnd();
      const error = { code: 'ERR_MINE', message: 'it did not work' };
      assert.deepEqual(client.data, ['a']);
      assert.deepEqual(json(client.own('error')[0]!.data), { ...error, error });
    });
  });

  describe('a client of its own kind', () => {
    const answer = async function* (): AsyncGenerator<object | string> {
      for (const content of ['Hel', 'lo', ' world']) yield { data: { choices: [{ index: 0, delta: { content } }] } };
    };

    it("OpenAI's reads a stream as the answer of a model", async () => {
      const { url, server } = await start(async (hub, request, response) => {
        if (request.url !== '/v1/chat/completions' || request.method !== 'POST') return;
        const stream = hub.open(request, response);
        await stream.pipe(answer() as AsyncGenerator<string>, { end: false });
        void stream.send('[DONE]');
        stream.close();
      });
      const client = new OpenAI({ baseURL: `${url}v1`, apiKey: 'none', maxRetries: 0 });
      const chunks = await client.chat.completions.create({ model: 'm', messages: [], stream: true });
      let text = '';
      for await (const chunk of chunks) text += chunk.choices[0]?.delta.content;
      assert.equal(text, 'Hello world');
      server.closeAllConnections();
    });

    it("OpenAI's throws when the model fails on the way, and when the server goes", async () => {
      const { hub, url } = await start(async (hub, request, response) => {
        const stream = hub.open(request, response);
        await stream.pipe(answer() as AsyncGenerator<string>, { end: false });
        if (request.url === '/fail/chat/completions') stream.fail(new Error('secret'));
      });
      for (const [path, text] of [
        ['fail', /something failed on the server/],
        ['stop', /this stream ended early: shutdown/],
      ] as const) {
        const client = new OpenAI({ baseURL: url + path, apiKey: 'none', maxRetries: 0 });
        const chunks = await client.chat.completions.create({ model: 'm', messages: [], stream: true });
        let read = 0;
        await assert.rejects(async () => {
          for await (const _ of chunks) if (++read === 3 && path === 'stop') void hub.stop();
        }, text);
        assert.equal(read, 3);
      }
    });

    it('EventSource comes back after the end, until it is closed or gets 204', async () => {
      let requests = 0;
      const { url } = await start((hub, request, response) => {
        if (++requests === 3) {
          response.writeHead(204).end();
          return;
        }
        void hub.open(request, response, { retry: 10 }).pipe(['a', { event: 'done' }]);
      });
      const source = new EventSource(url);
      const data: string[] = [];
      source.addEventListener('message', (event) => data.push(String(event.data)));
      await eventually(() => source.readyState === EventSource.CLOSED);
      assert.deepEqual([requests, data], [3, ['a', 'a']]);
    });
  });

  describe('opens and aborts', () => {
    it('leave nothing behind: 1,000 of them, each with a source', async () => {
      const returned = { sources: 0, opened: 0 };
      const contexts: WeakRef<object>[] = [];
      const { hub, server, url, logged } = await start((hub, request, response) => {
        returned.opened++;
        const ctx = { request, load: Buffer.alloc(1_000) };
        contexts.push(new WeakRef(ctx));
        const stream = hub.endpoint.open(request, response, returned.opened % 2 === 0 ? { keys: ['a'] } : {}, ctx);
        const source = stuck();
        void stream.pipe(source).then(() => (returned.sources += source.returned));
      });
      for (let i = 0; i < 20; i++) {
        const clients = await Promise.all(Array.from({ length: 50 }, () => Stream.open(url)));
        for (const client of clients) client.close();
      }
      await eventually(() => returned.sources === 1_000 && hub.countAll() === 0);
      assert.deepEqual([hub.stats.connections, hub.stats.pools, hub.stats.unsentBytes], [0, 0, 0]);
      assert.equal(server.listenerCount('close'), 0);
      assert.deepEqual(logged, []);
      setFlagsFromString('--expose-gc');
      const collectGarbage = runInNewContext('gc') as () => void;
      await eventually(() => {
        collectGarbage();
        return contexts.filter((context) => context.deref() !== undefined).length < 10;
      });
    });

    it('hold nothing of the request while a stream is open', async () => {
      const handle: { context?: WeakRef<object>; stream?: SseStream } = {};
      const { url } = await start(
        (hub, request, response) => {
          const ctx = { request };
          handle.context = new WeakRef(ctx);
          handle.stream = hub.endpoint.open(request, response, { keys: ['a'], first: 'a' }, ctx);
        },
        { authorize: () => ({ user: 'ann' }) },
      );
      const client = await Stream.open(url);
      await client.untilMessages(1);
      setFlagsFromString('--expose-gc');
      const collectGarbage = runInNewContext('gc') as () => void;
      await eventually(() => {
        collectGarbage();
        return handle.context!.deref() === undefined;
      });
      await handle.stream!.send('b');
      await client.untilMessages(2);
      client.close();
    });
  });
});
