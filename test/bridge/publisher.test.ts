import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2, createServer as createHttp2Server, type IncomingHttpHeaders } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:http';
import { Publisher } from '../../lib/bridge/publisher';
import { SseError } from '../../lib/base/error';
import { eventually } from '../support/eventually';
import { optionsWith, plainServers, type PlainServer } from '../support/plain';
import { raw } from '../support/raw';
import { Stream } from '../support/stream';

const SECRET = 'a-secret-of-this-test';
const NEXT_SECRET = 'the-secret-that-takes-over';

/** Posts JSON, or a body as it is. */
function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { Authorization: `Bearer ${SECRET}`, 'Content-Type': 'application/json', ...headers },
    body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
  });
}

const postForm = (url: string, form: string): Promise<Response> =>
  post(url, form, { 'Content-Type': 'application/x-www-form-urlencoded' });

/** An HTTP/1.1 request as bytes. */
function bytesOf(headers: Record<string, string>, body = '', line = 'POST /stream HTTP/1.1'): string {
  const all = { Host: 'x', 'Content-Type': 'application/json', ...headers };
  const fields = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${line}\r\n${fields.join('')}\r\n${body}`;
}

const authorized = { Authorization: `Bearer ${SECRET}` };

async function refusal(response: Response): Promise<{ status: number; code: string; message: string }> {
  const { code, message } = (await response.json()) as { code: string; message: string };
  return { status: response.status, code, message };
}

describe('what services post', () => {
  const start = plainServers();

  const startPublisher = (more: object = {}): Promise<PlainServer> =>
    start({ publisher: { secret: SECRET, keys: null, maxBytes: 100 * 1024, timeout: 10_000, ...more } });

  describe('the HTTP publisher', () => {
    let server: PlainServer;
    let stream: Stream;

    before(async () => {
      server = await startPublisher({ secret: [SECRET, NEXT_SECRET] });
      stream = await Stream.open(`${server.url}?connectKey=a&connectKey=b&connectKey=__proto__`);
      await stream.until(({ events }) => events.length > 0);
    });
    after(() => stream.close());

    /** All that reached the client of `a` and `b` since the last time. */
    let seen = 0;
    const heard = async (): Promise<{ event: string | undefined; data: string; id: string | undefined }[]> => {
      const { id } = await server.sse.publishAll({ event: 'mark', data: '' });
      await stream.until(({ messages }) => messages.some((message) => message.id === id));
      const news = stream.messages.slice(seen, -1);
      seen = stream.messages.length;
      return news.map(({ event, data, id }) => ({ event, data, id }));
    };

    it('publishes JSON and answers the receipt', async () => {
      const response = await post(server.url, { key: 'a', event: 'paid', data: { order: 7 } });
      assert.equal(response.status, 200);
      assert.match(response.headers.get('content-type')!, /^application\/json/);
      const receipt = (await response.json()) as { id: string };
      assert.deepEqual(receipt, { id: receipt.id, reach: 'everywhere' });
      assert.deepEqual(await heard(), [{ event: 'paid', data: '{"order":7}', id: receipt.id }]);
    });

    it('publishes a form, whose data is text', async () => {
      const response = await postForm(server.url, 'key=a&event=paid&data=%7B%22order%22%3A7%7D+%E4%BD%A0&id=7&');
      assert.deepEqual(await response.json(), { id: '7', reach: 'everywhere' });
      assert.deepEqual(await heard(), [{ event: 'paid', data: '{"order":7} 你', id: '7' }]);
    });

    it('publishes once to a connection that holds several of the keys', async () => {
      await post(server.url, { key: ['a', 'b'], data: 'json' });
      await postForm(server.url, 'key=a&key=b&data=form');
      assert.deepEqual(
        (await heard()).map(({ data }) => data),
        ['json', 'form'],
      );
    });

    it('publishes to everyone only when asked to', async () => {
      for (const response of [await post(server.url, { data: 'x' }), await postForm(server.url, 'data=x')]) {
        const { status, code, message } = await refusal(response);
        assert.deepEqual({ status, code }, { status: 422, code: 'ERR_SSE_KEY' });
        assert.match(message, /there is no key; say the key, .* or all: true for everyone/);
      }
      await post(server.url, { all: true, data: 'json' });
      await postForm(server.url, 'all=true&data=form');
      await post(server.url, { all: false, key: 'b', data: 'one' });
      assert.deepEqual(
        (await heard()).map(({ data }) => data),
        ['json', 'form', 'one'],
      );
      assert.equal((await refusal(await post(server.url, { all: true, key: 'a', data: 'x' }))).code, 'ERR_SSE_KEY');
      assert.equal((await refusal(await post(server.url, { all: 'yes', data: 'x' }))).code, 'ERR_SSE_KEY');
    });

    it('takes any JSON for data, and a name alone for an event with empty data', async () => {
      for (const data of ['text', 7, null, false, [1, { a: 'b' }], '']) await post(server.url, { key: 'a', data });
      await post(server.url, { key: 'a', event: 'refresh' });
      assert.deepEqual(
        (await heard()).map(({ data }) => data),
        ['text', '7', 'null', 'false', '[1,{"a":"b"}]', '', ''],
      );
    });

    it('takes each of its secrets, and the scheme in any case', async () => {
      for (const authorization of [`Bearer ${NEXT_SECRET}`, `bearer  ${SECRET}`]) {
        const response = await post(server.url, { key: 'nobody', data: 'x' }, { Authorization: authorization });
        assert.equal(response.status, 200, authorization);
      }
    });

    const wrongSecrets: [string, string, string | undefined][] = [
      ['no Authorization', '', undefined],
      ['another scheme', `Basic ${Buffer.from(`user:${SECRET}`).toString('base64')}`, undefined],
      ['an empty token', 'Bearer ', undefined],
      ['a wrong secret of the same length', `Bearer ${SECRET.replace('a-', 'b-')}`, 'invalid_token'],
      ['a shorter one', `Bearer ${SECRET.slice(0, -1)}`, 'invalid_token'],
      ['a longer one', `Bearer ${SECRET}${SECRET.repeat(99)}`, 'invalid_token'],
      ['two of them', `Bearer ${SECRET}, Bearer ${SECRET}`, undefined],
      ['bytes that are no text', 'Bearer \xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8', 'invalid_token'],
    ];
    for (const [what, authorization, error] of wrongSecrets) {
      it(`refuses ${what} with 401, says how to do it, and publishes nothing`, async () => {
        const response = await post(server.url, { key: 'a', data: 'x' }, { Authorization: authorization });
        assert.equal(
          response.headers.get('www-authenticate'),
          `Bearer realm="egg-sse"${error === undefined ? '' : `, error="${error}"`}`,
        );
        const { status, code, message } = await refusal(response);
        const expected = error === undefined ? 'ERR_SSE_SECRET' : 'ERR_SSE_WRONG_SECRET';
        assert.deepEqual({ status, code }, { status: 401, code: expected });
        assert.match(message, /send (the secret|that) of config\.sse\.publisher/);
        assert.equal(message.includes(SECRET), false);
        assert.deepEqual(await heard(), []);
      });
    }

    const deep = '['.repeat(50_000) + ']'.repeat(50_000);
    const unprocessable: [string, string | Uint8Array, string, RegExp][] = [
      ['an empty body', '', 'ERR_SSE_BODY', /the body is not JSON/],
      ['half of a JSON', '{"key":"a",', 'ERR_SSE_BODY', /the body is not JSON \(/],
      ['JSON that is a list', '[]', 'ERR_SSE_BODY', /the body is an array of 0; it must be an object/],
      ['JSON that is null', 'null', 'ERR_SSE_BODY', /the body is null/],
      ['what is not UTF-8', Buffer.from('{"key":"a","data":"\xff"}', 'latin1'), 'ERR_SSE_BODY', /not UTF-8/],
      ['data nested 50,000 deep', `{"key":"a","data":${deep}}`, 'ERR_SSE_DATA', /JSON cannot hold/],
      ['a body nested 50,000 deep', deep, 'ERR_SSE_BODY', /an array of 1/],
      [
        'a field __proto__',
        '{"__proto__":{"key":"a"},"data":"x"}',
        'ERR_SSE_BODY',
        /"__proto__" is not a field; there are key, all/,
      ],
      ['a misspelt field', '{"key":"a","evnt":"x","data":"x"}', 'ERR_SSE_BODY', /"evnt" is not a field/],
      ['a message with nothing in it', '{"key":"a"}', 'ERR_SSE_MESSAGE', /object without data/],
      ['an empty key', '{"key":"","data":"x"}', 'ERR_SSE_KEY', /key is ""/],
      ['a key that is a number', '{"key":7,"data":"x"}', 'ERR_SSE_KEY', /key is 7/],
      ['no key in the list', '{"key":[],"data":"x"}', 'ERR_SSE_KEY', /empty array/],
      ['a list in the list of keys', '{"key":["a",["b"]],"data":"x"}', 'ERR_SSE_KEY', /key is an array of 1/],
      ['NUL in the event', '{"key":"a","event":"x\\u0000","data":"x"}', 'ERR_SSE_EVENT', /NUL/],
      ['a line end in the event', '{"key":"a","event":"x\\ndata: evil","data":"x"}', 'ERR_SSE_EVENT', /CR, LF/],
      ["an event of the plugin's own", '{"key":"a","event":"sse:bye","data":"x"}', 'ERR_SSE_EVENT', /"sse:"/],
      ['a line end in the id', '{"key":"a","id":"x\\r","data":"x"}', 'ERR_SSE_ID', /CR, LF/],
      ['an id that is an object', '{"key":"a","id":{},"data":"x"}', 'ERR_SSE_ID', /id is an object/],
    ];
    for (const [what, body, expected, text] of unprocessable) {
      it(`refuses ${what} with 422 that says why, and publishes nothing`, async () => {
        const { status, code, message } = await refusal(await post(server.url, body));
        assert.deepEqual({ status, code }, { status: 422, code: expected });
        assert.match(message, text);
        assert.deepEqual(await heard(), []);
      });
    }

    const unprocessableForms: [string, string, string, RegExp][] = [
      ['a field that is there twice', 'key=a&data=1&data=2', 'ERR_SSE_BODY', /"data" is there twice; only key may be/],
      ['a field __proto__', 'key=a&__proto__=1&data=1', 'ERR_SSE_BODY', /"__proto__" is not a field/],
      ['half of a percent-encoding', 'key=a&data=%E4%B', 'ERR_SSE_BODY', /"%E4%B" in the form/],
      ['percent-encoded bytes that are not UTF-8', 'key=a&data=%ff', 'ERR_SSE_BODY', /not percent-encoded UTF-8/],
      ['NUL in the event', 'key=a&data=1&event=%00', 'ERR_SSE_EVENT', /NUL/],
      ['an empty body', '', 'ERR_SSE_KEY', /there is no key/],
    ];
    for (const [what, body, expected, text] of unprocessableForms) {
      it(`refuses a form with ${what} with 422 that says why`, async () => {
        const { status, code, message } = await refusal(await postForm(server.url, body));
        assert.deepEqual({ status, code }, { status: 422, code: expected });
        assert.match(message, text);
        assert.deepEqual(await heard(), []);
      });
    }

    it('takes __proto__ for a key like any other', async () => {
      assert.equal((await post(server.url, '{"key":"__proto__","data":{"__proto__":1}}')).status, 200);
      assert.deepEqual(
        (await heard()).map(({ data }) => data),
        ['{"__proto__":1}'],
      );
    });

    it('refuses other types, charsets and encodings of a body with 415', async () => {
      const unsupported: Record<string, string>[] = [
        { 'Content-Type': 'text/plain' },
        { 'Content-Type': 'multipart/form-data; boundary=x' },
        { 'Content-Type': 'application/json; charset=utf-16' },
        { 'Content-Encoding': 'gzip' },
      ];
      for (const headers of unsupported) {
        const { status, code, message } = await refusal(await post(server.url, '{}', headers));
        assert.deepEqual({ status, code }, { status: 415, code: 'ERR_SSE_CONTENT_TYPE' });
        assert.match(message, /send application\/json or application\/x-www-form-urlencoded/);
      }
      const typed = { 'Content-Type': 'Application/JSON; charset="UTF-8"' };
      assert.equal((await post(server.url, { key: 'nobody', data: 'x' }, typed)).status, 200);
    });

    it('leaves GET and HEAD alone, and names POST among the methods that are allowed', async () => {
      const head = await fetch(server.url, { method: 'HEAD' });
      assert.equal(head.status, 200);
      for (const method of ['PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
        const response = await fetch(server.url, { method, headers: authorized });
        assert.equal(response.status, 405, method);
        assert.equal(response.headers.get('allow'), 'GET, HEAD, POST');
      }
    });

    it('is off without a secret: a POST is refused with 405', async () => {
      for (const publisher of [false, { secret: null, keys: null, maxBytes: 1, timeout: 1 }]) {
        const { url } = await start({ publisher });
        const response = await post(url, { key: 'a', data: 'x' });
        assert.equal(response.status, 405);
        assert.equal(response.headers.get('allow'), 'GET, HEAD');
      }
    });

    it('publishes to what its keys cover, and refuses the rest with 403', async () => {
      const { url } = await startPublisher({ keys: ['news', 'job-*', '@user:*'] });
      for (const key of ['news', 'job-', 'job-7', ['job-7', 'news'], '@user:bob']) {
        assert.equal((await post(url, { key, data: 'x' })).status, 200, String(key));
      }
      for (const body of [
        { key: 'newsletter' },
        { key: 'job' },
        { key: ['news', 'other'] },
        { key: '@all' },
        { key: '*' },
        { all: true },
      ]) {
        const response = await post(url, { ...body, data: 'x' });
        assert.equal(response.headers.get('www-authenticate'), 'Bearer realm="egg-sse", error="insufficient_scope"');
        const { status, code, message } = await refusal(response);
        assert.deepEqual({ status, code }, { status: 403, code: 'ERR_SSE_SCOPE' });
        assert.match(message, /config\.sse\.publisher\.keys; publish to news, job-\*, @user:\*$/);
      }
      const unlimited = await startPublisher({ keys: ['*'] });
      assert.equal((await post(unlimited.url, { all: true, data: 'x' })).status, 200);
    });

    it("answers with the error's own status and Retry-After while nobody gives the order", async () => {
      const fail = async (): Promise<never> => {
        throw new SseError('ERR_SSE_UNAVAILABLE', 'there is no order', { status: 503 });
      };
      const { publisher: options } = optionsWith({
        publisher: { secret: SECRET, keys: null, maxBytes: 100, timeout: 1_000 },
      });
      const publisher = Publisher.of({ publish: fail, publishAll: fail }, options)!;
      const http = createServer((request, response) => void publisher.serve(request, response)).listen(0, '127.0.0.1');
      await once(http, 'listening');
      const response = await post(`http://127.0.0.1:${(http.address() as AddressInfo).port}`, { key: 'a', data: 'x' });
      assert.equal(response.headers.get('retry-after'), '2');
      assert.deepEqual(await refusal(response), {
        status: 503,
        code: 'ERR_SSE_UNAVAILABLE',
        message: 'there is no order',
      });
      http.closeAllConnections();
      http.close();
    });
  });

  describe('the HTTP publisher, on a raw connection,', () => {
    const answers = (text: string): string[] => text.match(/HTTP\/1\.1 (?!100)\d+/g) ?? [];
    const body = JSON.stringify({ key: 'a', data: 'x' });
    const good = bytesOf({ ...authorized, 'Content-Length': String(body.length) }, body);

    it('refuses a body that says it is too large at once, without reading it, and ends the connection', async () => {
      const { port, sse } = await startPublisher({ maxBytes: 100 });
      const client = await raw(port, bytesOf({ ...authorized, 'Content-Length': String(2 ** 40) }, 'x'));
      await eventually(() => client.read().includes('ERR_SSE_TOO_LARGE'));
      assert.match(client.read(), /^HTTP\/1\.1 413 /);
      assert.match(client.read(), /^Connection: close\r$/im);
      await eventually(client.ended, 'the connection is over');
      assert.equal(sse.stats.historyMessages, 0);
    });

    it('refuses a chunked body as soon as it is too large, though the client sends on', async () => {
      const { port } = await startPublisher({ maxBytes: 1_000 });
      const chunk = `64\r\n${'x'.repeat(100)}\r\n`;
      const client = await raw(port, bytesOf({ ...authorized, 'Transfer-Encoding': 'chunked' }));
      for (let i = 0; i < 11; i++) client.write(chunk);
      await eventually(() => client.read().includes('ERR_SSE_TOO_LARGE'));
      assert.match(client.read(), /^HTTP\/1\.1 413 /);
      assert.match(client.read(), /^Connection: close\r$/im);
      client.write(chunk.repeat(20_000));
      await eventually(client.ended, 'the connection is over');
    });

    it('reads a chunked body without a length', async () => {
      const { port, sse } = await startPublisher();
      const client = await raw(port, bytesOf({ ...authorized, 'Transfer-Encoding': 'chunked' }));
      client.write(`${body.length.toString(16)}\r\n${body}\r\n`);
      client.write('0\r\n\r\n');
      await eventually(() => client.read().includes('everywhere'));
      assert.equal(sse.stats.historyMessages, 1);
      client.end();
    });

    it('refuses with 408 a body that takes too long, and ends the connection', async () => {
      const { port, sse } = await startPublisher({ timeout: 50 });
      const client = await raw(port, bytesOf({ ...authorized, 'Content-Length': '100' }, '{"key":'));
      await eventually(() => client.read().includes('ERR_SSE_TOO_SLOW'));
      assert.match(client.read(), /^HTTP\/1\.1 408 [^]*only 7 bytes of the body came in 50 ms/);
      assert.match(client.read(), /^Connection: close\r$/im);
      await eventually(client.ended, 'the connection is over');
      assert.equal(sse.stats.historyMessages, 0);
    });

    it('lets a client that sends for long read why it was refused', async () => {
      const { url } = await startPublisher({ maxBytes: 1_000 });
      const response = await post(url, 'x'.repeat(900_000), { Authorization: 'Bearer wrong-wrong-wrong' });
      assert.equal((await refusal(response)).code, 'ERR_SSE_WRONG_SECRET');
    });

    it('goes on with the next request after a refusal, also when it was sent ahead', async () => {
      const { port, sse } = await startPublisher();
      const wrong = bytesOf({ Authorization: 'Bearer wrong-wrong-wrong', 'Content-Length': String(body.length) }, body);
      const broken = bytesOf({ ...authorized, 'Content-Length': '1' }, '{');
      const client = await raw(port, wrong + good + broken + good);
      await eventually(() => answers(client.read()).length === 4);
      assert.deepEqual(answers(client.read()), ['HTTP/1.1 401', 'HTTP/1.1 200', 'HTTP/1.1 422', 'HTTP/1.1 200']);
      client.write(good);
      await eventually(() => answers(client.read()).length === 5);
      assert.equal(sse.stats.historyMessages, 3);
      client.end();
    });

    it('never takes the body of a refused request for a request', async () => {
      const { port, sse } = await startPublisher();
      const headers = { Authorization: 'Bearer wrong-wrong-wrong' };
      const client = await raw(port, bytesOf({ ...headers, 'Content-Length': String(good.length) }));
      await eventually(() => client.read().includes('ERR_SSE_WRONG_SECRET'));
      client.write(good);
      client.write(bytesOf({ ...headers, 'Content-Length': '0' }));
      await eventually(() => answers(client.read()).length === 2);
      assert.deepEqual(answers(client.read()), ['HTTP/1.1 401', 'HTTP/1.1 401']);
      assert.equal(sse.stats.historyMessages, 0);
      client.end();
    });

    it('lets a client wait for 100 Continue', async () => {
      const { port } = await startPublisher();
      const client = await raw(
        port,
        bytesOf({ ...authorized, Expect: '100-continue', 'Content-Length': String(body.length) }),
      );
      await eventually(() => client.read().startsWith('HTTP/1.1 100 Continue\r\n\r\n'));
      client.write(body);
      await eventually(() => client.read().includes('everywhere'));
      client.end();
    });

    it('publishes nothing of a client that leaves in the middle of its body, and holds nothing of it', async () => {
      const { port, sse, server, url } = await startPublisher();
      const client = await raw(port, bytesOf({ ...authorized, 'Content-Length': '100' }, body));
      client.end();
      const connections = (): Promise<number> =>
        new Promise((resolve) => server.getConnections((_, count) => resolve(count)));
      await eventually(async () => (await connections()) === 0);
      assert.equal(sse.stats.historyMessages, 0);
      assert.equal((await post(url, { key: 'a', data: 'x' })).status, 200);
    });
  });

  describe('the HTTP publisher, over HTTP/2,', () => {
    it('publishes, refuses, and ends a stream whose body nobody wants', async () => {
      const { sse } = await start();
      const { publisher: options } = optionsWith({
        publisher: { secret: SECRET, keys: null, maxBytes: 1_000, timeout: 10_000 },
      });
      const publisher = Publisher.of(sse, options)!;
      const server = createHttp2Server((request, response) => void publisher.serve(request, response));
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
      const open = (headers: Record<string, string>) =>
        session.request({ ':method': 'POST', ':path': '/stream', 'content-type': 'application/json', ...headers });
      const answerOf = async (stream: ReturnType<typeof open>): Promise<[number, string]> => {
        const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status': number }];
        let text = '';
        for await (const chunk of stream.setEncoding('utf8')) text += String(chunk);
        return [headers[':status'], text];
      };

      const authorization = `Bearer ${SECRET}`;
      const good = open({ authorization });
      good.end(JSON.stringify({ key: 'a', data: 'x' }));
      const [status, text] = await answerOf(good);
      assert.equal(status, 200);
      assert.match(text, /^\{"id":".*-1","reach":"everywhere"\}$/);

      // Neither of them ends its body.
      const endless = open({ authorization, 'content-length': '5000' });
      endless.write('x');
      const [tooLarge, why] = await answerOf(endless);
      assert.deepEqual([tooLarge, (JSON.parse(why) as { code: string }).code], [413, 'ERR_SSE_TOO_LARGE']);
      const unauthorized = open({});
      unauthorized.write('x');
      assert.equal((await answerOf(unauthorized))[0], 401);
      await eventually(() => endless.closed && unauthorized.closed, 'the streams are over');
      assert.equal(endless.rstCode, 0);

      session.close();
      server.close();
    });
  });
});
