import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createHub } from '../../../lib/create_hub';
import { SseError } from '../../../lib/base/error';
import { user } from '../../../lib/message/keys';
import { eventually } from '../../support/eventually';
import { hubServers } from '../../support/hub';
import { opening } from '../../support/opening';
import { raw } from '../../support/raw';
import { Stream } from '../../support/stream';

const count = (n: number): string[] => Array.from({ length: n }, (_, i) => String(i));

describe('a stream for one request', () => {
  const start = hubServers();

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
