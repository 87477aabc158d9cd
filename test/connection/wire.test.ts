import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { eventually } from '../support/eventually';
import { plainServers, type PlainServer } from '../support/plain';
import { raw } from '../support/raw';
import { Stream } from '../support/stream';

const GET = (query: string): string => `GET /stream?connectKey=${query} HTTP/1.1\r\nHost: x\r\n\r\n`;

/** A server of its own before a plain one's endpoint. */
async function startBefore(plain: PlainServer, listener: RequestListener) {
  const server = createServer((request, response) => {
    listener(request, response);
    void plain.sse.endpoint.serve(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/stream` };
}

/** The chunks of an HTTP/1.1 body, as RFC 9112 reads them; what is not whole is left out. */
function chunksOf(body: Buffer): string[] {
  const chunks: string[] = [];
  for (let at = 0; ;) {
    const end = body.indexOf('\r\n', at);
    if (end === -1) return chunks;
    const head = body.toString('latin1', at, end);
    assert.match(head, /^[0-9a-f]+$/);
    const length = Number.parseInt(head, 16);
    at = end + 2 + length + 2;
    if (at > body.length) return chunks;
    assert.equal(body.toString('latin1', at - 2, at), '\r\n');
    chunks.push(body.toString('utf8', end + 2, at - 2));
  }
}

describe('a stream over HTTP/1.1', () => {
  const start = plainServers();

  it('is sent in chunks that hold whole events, and ends with the last chunk', async () => {
    const { port, sse } = await start();
    const client = await raw(port, GET('a'));
    await eventually(() => sse.count('a') === 1);
    await sse.publish('a', 'größer');
    for (let i = 0; i < 3; i++) void sse.publish('a', `b${i}`);
    await eventually(() => client.read().includes('b2'));
    sse.closeAll();
    await eventually(() => client.read().endsWith('0\r\n\r\n'));
    const [head = ''] = client.read().split('\r\n\r\n', 1);
    assert.match(head, /^transfer-encoding: chunked$/im);
    const chunks = chunksOf(Buffer.from(client.read()).subarray(Buffer.byteLength(head) + 4));
    assert.equal(chunks.at(-1), '');
    for (const chunk of chunks.slice(0, -1)) assert.ok(chunk.endsWith('\n\n'));
    assert.deepEqual(
      chunks.map((chunk) => [...chunk.matchAll(/^(?:event|data): ([^{\n]+)$/gm)].map(([, text]) => text)),
      [['sse:hello'], ['größer'], ['b0', 'b1', 'b2'], ['sse:bye'], []],
    );
    client.end();
  });

  it('leaves the connection to the next request when it has ended', async () => {
    const { port, sse } = await start();
    const client = await raw(port, GET('a'));
    for (const key of ['a', 'b']) {
      await eventually(() => sse.count(key) === 1);
      await sse.publish(key, `to ${key}`);
      await eventually(() => client.read().includes(`to ${key}`));
      sse.closeAll();
      await eventually(() => client.read().endsWith('0\r\n\r\n'));
      if (key === 'a') client.write(GET('b'));
    }
    assert.equal(client.read().match(/HTTP\/1\.1 200 OK/g)?.length, 2);
    client.end();
  });

  it('waits behind the stream that was asked for before it on the same connection', async () => {
    const { port, sse } = await start();
    const client = await raw(port, GET('a') + GET('b'));
    await eventually(() => sse.countAll() === 2);
    for (const key of ['b', 'a']) await sse.publish(key, `to ${key}`);
    await eventually(() => client.read().includes('to a'));
    assert.doesNotMatch(client.read(), /to b/);
    sse.close('a');
    await eventually(() => client.read().includes('to b'));
    await sse.publish('b', 'more');
    await eventually(() => client.read().includes('more'));
    const [, first = '', second = ''] = client.read().split(/HTTP\/1\.1 200 OK[^]*?\r\n\r\n/);
    assert.equal(chunksOf(Buffer.from(first)).at(-1), '');
    assert.equal(chunksOf(Buffer.from(second)).length, 3);
    client.end();
  });

  it('goes through a write() that somebody has put in its place', async () => {
    const plain = await start();
    let written = '';
    const { server, url } = await startBefore(plain, (_request, response) => {
      const write = response.write.bind(response) as (chunk: Buffer) => boolean;
      response.write = (chunk: Buffer) => {
        written += chunk.toString();
        return write(chunk);
      };
    });
    const stream = await Stream.open(`${url}?connectKey=a`);
    await plain.sse.publish('a', 'x');
    await stream.untilMessages(1);
    assert.equal(written, stream.text);
    stream.close();
    server.close();
  });

  it('of a client that has closed its side ends, and is no error', async () => {
    const plain = await start({ stallTimeout: 500 });
    const { server, url } = await startBefore(plain, () => undefined);
    const errors: Error[] = [];
    server.on('clientError', (error) => errors.push(error));
    let hasClosed = false;
    server.on('connection', (socket) => socket.on('end', () => (hasClosed = true)));
    const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', allowHalfOpen: true });
    await once(socket, 'connect');
    socket.write(GET('a'));
    await eventually(() => plain.sse.count('a') === 1);
    // It does not read; what waits for it keeps its connection open.
    while (plain.sse.stats.unsentBytes === 0) await plain.sse.publish('a', 'x'.repeat(4_000));
    socket.end();
    await eventually(() => hasClosed);
    await plain.sse.publish('a', 'too late');
    await eventually(() => plain.sse.count('a') === 0);
    assert.deepEqual(errors, []);
    socket.destroy();
    server.close();
  });
});
