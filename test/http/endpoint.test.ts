import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { eventually } from '../support/eventually';
import { plainServers } from '../support/plain';
import { raw } from '../support/raw';
import { Stream } from '../support/stream';

describe('the stream endpoint', () => {
  const start = plainServers();

  it('answers GET with 200, its headers and the hello frame, at once', async () => {
    const { url } = await start();
    const stream = await Stream.open(`${url}?connectKey=a&connectKey=b`);
    await stream.until(({ events }) => events.length > 0);
    assert.equal(stream.status, 200);
    assert.equal(stream.headers['content-type'], 'text/event-stream');
    assert.equal(stream.headers['cache-control'], 'no-cache, no-transform');
    assert.equal(stream.headers['x-accel-buffering'], 'no');
    assert.equal(stream.headers['access-control-allow-origin'], '*');
    const [hello] = stream.own('hello');
    const { keys, cursor, pingInterval } = JSON.parse(hello!.data) as Record<string, unknown>;
    assert.deepEqual(keys, ['a', 'b']);
    assert.equal(pingInterval, 10_000);
    assert.equal(hello!.id, cursor);
    assert.match(stream.text, /^retry: 2000\nevent: sse:hello\ndata: .*\nid: [0-9a-z]{8}-0\n\n$/);
    stream.close();
  });

  it('answers HEAD with the same headers, no body, and counts no connection', async () => {
    const { url, sse } = await start();
    const head = await Stream.open(url, { method: 'HEAD' });
    const get = await Stream.open(url);
    await head.untilEnd();
    assert.equal(head.status, 200);
    assert.equal(head.text, '');
    for (const name of ['content-type', 'cache-control', 'x-accel-buffering', 'access-control-allow-origin']) {
      assert.equal(head.headers[name], get.headers[name]);
    }
    assert.equal(sse.countAll(), 1);
    get.close();
  });

  it('answers any other method with 405 and Allow', async () => {
    const { url, sse } = await start();
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      const response = await fetch(url, { method });
      assert.equal(response.status, 405, method);
      assert.equal(response.headers.get('allow'), 'GET, HEAD');
      assert.equal(((await response.json()) as { code: string }).code, 'ERR_SSE_METHOD');
    }
    assert.equal(sse.countAll(), 0);
  });

  it('answers 406 to an Accept that excludes it', async () => {
    const { url } = await start();
    const response = await fetch(url, { headers: { accept: 'application/json' } });
    assert.equal(response.status, 406);
    assert.match(((await response.json()) as { message: string }).message, /Accept is "application\/json"/);
  });

  it('answers 400 with a text that says which key is wrong', async () => {
    const { url, sse } = await start({ maxKeys: 2, maxKeyLength: 5 });
    for (const [query, text] of [
      ['connectKey=123456', /"123456", 6 characters; it may have 5/],
      ['connectKey=a&connectKey=b&connectKey=c', /more than 2 connectKeys, the last "c"/],
      ['connectKey=@user:bob', /"@user:bob"|@user/],
    ] as const) {
      const response = await fetch(`${url}?${query}`);
      assert.equal(response.status, 400);
      assert.match(response.headers.get('content-type')!, /^application\/json/);
      assert.match(((await response.json()) as { message: string }).message, text);
    }
    assert.equal(sse.countAll(), 0);
  });

  it('takes exactly maxClients, answers the next with 503 and Retry-After, and has room again when one leaves', async () => {
    const { url, sse } = await start({ maxClients: 2 });
    const streams = [await Stream.open(url), await Stream.open(url)];
    const refused = await fetch(url);
    assert.equal(refused.status, 503);
    assert.match(refused.headers.get('retry-after')!, /^[2-4]$/);
    assert.equal(((await refused.json()) as { code: string }).code, 'ERR_SSE_OVERLOAD');
    streams[0]!.close();
    await eventually(() => sse.countAll() === 1);
    const third = await Stream.open(url);
    assert.equal(third.status, 200);
    for (const stream of [...streams, third]) stream.close();
  });

  it('with overload "retry" tells the client to come back by itself', async () => {
    const { url, sse } = await start({ maxClients: 1, overload: 'retry', retry: 100 });
    const first = await Stream.open(url);
    const second = await (await Stream.open(url)).untilEnd();
    assert.equal(second.status, 200);
    assert.equal(second.headers['content-type'], 'text/event-stream');
    assert.equal(second.own('busy').length, 1);
    assert.ok(second.retries[0]! >= 100 && second.retries[0]! <= 200);
    assert.equal(sse.countAll(), 1);
    first.close();
  });

  it('sends the headers that are configured, without those that are null or not its business', async () => {
    const { url } = await start({
      headers: { 'Cache-Control': 'no-store', 'X-Accel-Buffering': null, 'X-Own': 'yes', 'Transfer-Encoding': 'off' },
    });
    const { headers, close } = await Stream.open(url).then((stream) => ({
      headers: stream.headers,
      close: () => stream.close(),
    }));
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['x-accel-buffering'], undefined);
    assert.equal(headers['access-control-allow-origin'], undefined);
    assert.equal(headers['x-own'], 'yes');
    assert.equal(headers['transfer-encoding'], 'chunked');
    close();
  });

  it('serves an HTTP/1.0 client, without chunks', async () => {
    const { port, sse } = await start();
    const client = await raw(port, 'GET /stream?connectKey=a HTTP/1.0\r\n\r\n');
    await eventually(() => sse.count('a') === 1);
    await sse.publish('a', 'old friend');
    await eventually(() => client.read().includes('old friend'));
    const [head, ...frames] = client.read().split('\r\n\r\n');
    assert.match(head!, /^HTTP\/1\.1 200/);
    assert.doesNotMatch(head!, /transfer-encoding/i);
    assert.match(frames.join(''), /^retry: 2000\nevent: sse:hello\n[^]*\n\ndata: old friend\nid: .*-1\n\n$/);
    client.end();
  });

  it("serves an HTTP/2 client through Node's compatibility API, without headers of a connection", async () => {
    const plain = await start({ headers: { Connection: 'keep-alive', 'Keep-Alive': 'timeout=5', 'X-Own': 'yes' } });
    const server = createHttp2Server((request, response) => void plain.sse.endpoint.serve(request, response));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const warnings: string[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning.message);
    process.on('warning', onWarning);
    const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const stream = session.request({ ':path': '/stream?connectKey=a' });
    const events: EventSourceMessage[] = [];
    const parser = createParser({ onEvent: (event) => events.push(event) });
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => parser.feed(chunk));
    const [headers] = (await once(stream, 'response')) as [Record<string, string>];
    assert.equal(headers[':status'], 200);
    assert.equal(headers['connection'], undefined);
    assert.equal(headers['x-own'], 'yes');
    // More than fits into the stream's window at once.
    const long = 'x'.repeat(3_000_000);
    for (let i = 0; i < 3; i++) await plain.sse.publish('a', `${i}${long}`);
    await eventually(() => events.length === 4);
    assert.deepEqual(
      events.map(({ data }) => data.length),
      [events[0]!.data.length, 3_000_001, 3_000_001, 3_000_001],
    );
    stream.close();
    await eventually(() => plain.sse.countAll() === 0);
    const second = session.request({ ':path': '/stream' });
    await once(second, 'response');
    second.resume();
    plain.sse.closeAll();
    await once(second, 'end');
    session.close();
    server.close();
    process.off('warning', onWarning);
    assert.deepEqual(warnings, []);
  });

  it('takes __proto__ and constructor for keys like any other', async () => {
    const { url, sse } = await start();
    const stream = await Stream.open(`${url}?connectKey=__proto__&connectKey=constructor`);
    await sse.publish('constructor', 'a');
    await sse.publish('__proto__', 'b');
    await sse.publish(['__proto__', 'constructor'], 'c');
    await stream.untilMessages(3);
    assert.deepEqual(stream.data, ['a', 'b', 'c']);
    assert.equal(sse.count('__proto__'), 1);
    stream.close();
    await eventually(() => sse.count('__proto__') === 0);
  });

  describe('asked withKeys=1', () => {
    /** The `keys` lines of a stream; parsers pass over them. */
    const keysOf = ({ text }: Stream): unknown[] =>
      [...text.matchAll(/^keys: (.*)$/gm)].map(([, keys]) => JSON.parse(keys!) as unknown);

    it('says for which of its keys each message is, and nothing of keys that it does not hold', async () => {
      const { url, sse } = await start();
      const shared = await Stream.open(`${url}?connectKey=a&connectKey=b%0A&withKeys=1`);
      const other = await Stream.open(`${url}?connectKey=b%0A&connectKey=a`);
      await sse.publish('a', { event: 'x', data: 1 });
      await sse.publish(['secret', 'b\n', 'a'], 'two');
      await sse.publishAll('all');
      await Promise.all([shared.untilMessages(3), other.untilMessages(3)]);
      assert.deepEqual(keysOf(shared), [['a'], ['b\n', 'a'], ['@all']]);
      assert.deepEqual(shared.data, ['1', 'two', 'all']);
      assert.deepEqual(shared.messages, other.messages);
      assert.doesNotMatch(other.text, /^keys:/m);
      const back = await Stream.open(`${url}?connectKey=a&withKeys=1`, {
        headers: { 'last-event-id': shared.messages[0]!.id! },
      });
      await back.untilMessages(2);
      assert.deepEqual(keysOf(back), [['a'], ['@all']]);
      for (const stream of [shared, other, back]) stream.close();
      await eventually(() => sse.countAll() === 0);
    });

    it('says so of throttled messages and of mail', async () => {
      const { url, sse } = await start({
        throttle: { price: { interval: 60_000, keep: 'latest' } },
        mailbox: { keys: ['box'], age: 60_000, count: 10, bytes: 1e6 },
      });
      await sse.publish('box', 'mail');
      const stream = await Stream.open(`${url}?connectKey=price&connectKey=box&withKeys=1`);
      await sse.publish('price', '1');
      await stream.untilMessages(2);
      assert.deepEqual(keysOf(stream), [['box'], ['price']]);
      assert.deepEqual(stream.data, ['mail', '1']);
      stream.close();
    });
  });

  it('gives a client that comes back with new keys what it missed, and of these what comes from now on', async () => {
    const { url, sse } = await start();
    const { id } = await sse.publish('a', '0');
    await sse.publish('a', '1');
    await sse.publish(['a', 'b'], '2');
    await sse.publish('b', 'before it had b');
    const stream = await Stream.open(`${url}?connectKey=a&connectKey=b&newKey=b&newKey=c&lastEventId=${id}&withKeys=1`);
    await sse.publish('b', '3');
    await sse.publish('c', 'c was not asked for');
    await sse.publish('a', '4');
    await stream.untilMessages(4);
    assert.deepEqual(stream.data, ['1', '2', '3', '4']);
    // From there it goes on with all of its keys.
    const back = await Stream.open(`${url}?connectKey=a&connectKey=b&lastEventId=${stream.messages[1]!.id!}`);
    await back.untilMessages(3);
    assert.deepEqual(back.data, ['before it had b', '3', '4']);
    for (const each of [stream, back]) each.close();
    await eventually(() => sse.countAll() === 0);
    assert.deepEqual([sse.count('a'), sse.count('b')], [0, 0]);
  });

  it('says at once where a client is that comes back with new keys and has missed nothing', async () => {
    const { url, sse } = await start();
    const { id } = await sse.publish('a', '0');
    await sse.publish('b', 'before it had b');
    const stream = await Stream.open(`${url}?connectKey=a&connectKey=b&newKey=b&lastEventId=${id}`);
    await stream.until(({ events }) => events.length > 0);
    const back = await Stream.open(`${url}?connectKey=a&connectKey=b&lastEventId=${stream.lastEventId}`);
    await sse.publish('b', 'after');
    await back.untilMessages(1);
    assert.deepEqual(back.data, ['after']);
    for (const each of [stream, back]) each.close();
  });

  it('survives hostile requests on raw sockets', async () => {
    const { port, sse, url } = await start();
    const hostile = [
      'GET /stream?connectKey=%00%0d%0aevent:x HTTP/1.1\r\nHost: x\r\n\r\n',
      'GET /stream?connectKey=% HTTP/1.1\r\nHost: x\r\n\r\n',
      'GET /stream?lastEventId=%0aevent:%20evil%0a HTTP/1.1\r\nHost: x\r\n\r\n',
      'GET /stream HTTP/1.1\r\nHost: x\r\nLast-Event-ID: aaaaaaaa-99999999999999999999\r\n\r\n',
      `GET /stream HTTP/1.1\r\nHost: x\r\nLast-Event-ID: ${'9'.repeat(10_000)}\r\n\r\n`,
      `GET /stream?${'connectKey=a&'.repeat(1_000)} HTTP/1.1\r\nHost: x\r\nAccept: ${'a/b;q=,'.repeat(300)}*/*\r\n\r\n`,
      'GET /stream HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream;q=;;;=,,\r\n\r\n',
    ];
    for (const request of hostile) {
      const client = await raw(port, request);
      await eventually(() => client.read().includes('\r\n\r\n') || client.ended());
      assert.match(client.read(), /^HTTP\/1\.1 200 OK/, request.slice(0, 60));
      assert.doesNotMatch(client.read(), /^event: evil|^event:x/m);
      client.end();
    }
    await eventually(() => sse.countAll() === 0);
    const stream = await Stream.open(url);
    await sse.publishAll('still here');
    await stream.untilMessages(1);
    stream.close();
  });

  it('tells listeners what it refuses', async () => {
    const { url, sse } = await start({ maxClients: 1 });
    const refused: unknown[] = [];
    sse.on('refuse', (refusal) => refused.push(refusal));
    const stream = await Stream.open(url);
    await fetch(url);
    await fetch(`${url}?connectKey=@x`);
    assert.deepEqual(refused, [
      { status: 503, code: 'ERR_SSE_OVERLOAD' },
      { status: 400, code: 'ERR_SSE_KEY' },
    ]);
    stream.close();
  });
});
