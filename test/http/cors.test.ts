import assert from 'node:assert/strict';
import { checkOptions } from '../../lib/options/options';
import config from '../../config/config.default';
import { Cluster } from '../support/cluster';
import { eventually } from '../support/eventually';
import { plainServers } from '../support/plain';
import { raw } from '../support/raw';
import { Stream } from '../support/stream';

const APP = 'https://app.example.com';
const LOCAL = 'http://localhost:3000';
const cors = { origins: [APP, LOCAL], credentials: true };

const FORGED = [
  'null',
  'https://APP.example.com',
  'HTTPS://app.example.com',
  'https://app.example.com:443',
  'https://app.example.com/',
  'https://app.example.com.',
  'https://app.example.com.evil.example',
  'https://evil-app.example.com',
  'https://app.example.com@evil.example',
  'https://app.example.com https://evil.example',
  'https://app.example.com, https://evil.example',
  'https://evil.example, https://app.example.com',
  'http://app.example.com',
  'http://localhost',
  'http://localhost:30000',
  '*',
  'undefined',
  '__proto__',
  'x'.repeat(5_000),
];

/** The CORS headers of an answer, and its Vary. */
function headersOf({ headers }: Pick<Stream, 'headers'>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => name.startsWith('access-control-') || name === 'vary'),
  );
}

const ADMITTED = {
  'access-control-allow-origin': APP,
  'access-control-allow-credentials': 'true',
  'access-control-expose-headers': 'Retry-After',
  vary: 'Origin',
};

async function ask(url: string, headers: Record<string, string>, method = 'GET'): Promise<Stream> {
  const stream = await Stream.open(url, { headers, method });
  if (stream.status === 200 && method === 'GET') await stream.until(({ events }) => events.length > 0);
  return stream;
}

describe('config.sse.cors', () => {
  const start = plainServers();

  it('lets a page of each of the origins read the stream, with credentials, and says that others get another answer', async () => {
    const { url } = await start({ cors });
    for (const origin of [APP, LOCAL]) {
      for (const method of ['GET', 'HEAD']) {
        const stream = await ask(url, { Origin: origin }, method);
        assert.deepEqual(headersOf(stream), { ...ADMITTED, 'access-control-allow-origin': origin });
        stream.close();
      }
    }
  });

  it('brings no credentials unless it says so', async () => {
    const { url } = await start({ cors: { origins: [APP] } });
    const stream = await ask(url, { Origin: APP });
    assert.equal(stream.headers['access-control-allow-credentials'], undefined);
    assert.equal(stream.headers['access-control-allow-origin'], APP);
    stream.close();
  });

  it('lets no page of another origin read it, however its name is written', async () => {
    const { url } = await start({
      cors,
      publisher: { ...config.sse.publisher, secret: 'a secret of some length'.replaceAll(' ', '-') },
    });
    for (const origin of FORGED) {
      for (const [method, status] of [
        ['GET', 200],
        ['HEAD', 200],
        ['POST', 401],
        ['PUT', 405],
        ['OPTIONS', 204],
      ] as const) {
        const stream = await Stream.open(url, {
          headers: { Origin: origin, 'Access-Control-Request-Method': 'GET' },
          method,
        });
        assert.equal(stream.status, status);
        assert.deepEqual(headersOf(stream), { vary: 'Origin' }, `${method} ${origin.slice(0, 60)}`);
        stream.close();
      }
    }
    const none = await ask(url, {});
    assert.deepEqual(headersOf(none), { vary: 'Origin' });
    none.close();
  });

  it('takes two Origin headers for none', async () => {
    const { port } = await start({ cors });
    const client = await raw(
      port,
      `GET /stream HTTP/1.1\r\nHost: x\r\nOrigin: ${APP}\r\nOrigin: https://evil.example\r\n\r\n`,
    );
    await eventually(() => client.read().includes('sse:hello'));
    assert.doesNotMatch(client.read(), /access-control-allow/i);
    client.end();
  });

  it('lets pages read why a stream is refused, or that there is no room', async () => {
    const { url } = await start({ cors, maxClients: 1 });
    const open = await ask(url, { Origin: APP });
    for (const [path, status, headers, method] of [
      ['', 503, {}, 'GET'],
      ['?connectKey=@x', 400, {}, 'GET'],
      ['', 406, { Accept: 'text/html' }, 'GET'],
      ['', 405, {}, 'DELETE'],
    ] as const) {
      const refused = await Stream.open(`${url}${path}`, { headers: { Origin: APP, ...headers }, method });
      assert.equal(refused.status, status);
      assert.deepEqual(headersOf(refused), ADMITTED);
    }
    open.close();
    const lenient = await start({ cors, maxClients: 1, overload: 'retry' });
    const first = await ask(lenient.url, { Origin: APP });
    const busy = await (await Stream.open(lenient.url, { headers: { Origin: APP } })).untilEnd();
    assert.equal(busy.own('busy').length, 1);
    assert.deepEqual(headersOf(busy), ADMITTED);
    first.close();
  });

  it('answers a preflight with 204: GET and HEAD, and POST when services may publish', async () => {
    const secret = 'a-secret-of-some-length';
    for (const [publisher, methods] of [
      [false, 'GET, HEAD'],
      [{ ...config.sse.publisher, secret }, 'GET, HEAD, POST'],
    ] as const) {
      const { url, sse } = await start({ cors, publisher });
      const answer = await Stream.open(url, {
        method: 'OPTIONS',
        headers: {
          Origin: APP,
          'Access-Control-Request-Method': 'GET',
          'Access-Control-Request-Headers': 'authorization,last-event-id',
        },
      });
      assert.equal(answer.status, 204);
      const { 'access-control-allow-headers': allowed, ...others } = headersOf(answer);
      assert.deepEqual(others, {
        'access-control-allow-origin': APP,
        'access-control-allow-credentials': 'true',
        'access-control-allow-methods': methods,
        'access-control-max-age': '7200',
        vary: 'Origin',
      });
      for (const name of ['Last-Event-ID', 'Authorization', 'Cache-Control', 'Content-Type']) {
        assert.ok((allowed as string).split(', ').includes(name), name);
      }
      assert.equal(sse.countAll(), 0);
    }
  });

  it('answers 405 to an OPTIONS that is no preflight', async () => {
    const { url } = await start({ cors });
    const others: Record<string, string>[] = [{}, { Origin: APP }, { 'Access-Control-Request-Method': 'GET' }];
    for (const headers of others) {
      const answer = await Stream.open(url, { method: 'OPTIONS', headers });
      assert.equal(answer.status, 405);
      assert.equal(answer.headers.allow, 'GET, HEAD');
    }
  });

  it('lets all pages read it with "*", without credentials', async () => {
    const { url } = await start({ cors: { origins: '*' } });
    for (const origin of [APP, 'null', 'https://any.example']) {
      const stream = await ask(url, { Origin: origin });
      assert.deepEqual(headersOf(stream), {
        'access-control-allow-origin': '*',
        'access-control-expose-headers': 'Retry-After',
      });
      stream.close();
    }
  });

  it('adds to a Vary that is there', async () => {
    for (const [given, expected] of [
      ['Accept-Encoding', 'Accept-Encoding, Origin'],
      ['Accept-Encoding, origin', 'Accept-Encoding, origin'],
      ['*', '*'],
    ] as const) {
      const { url } = await start({ cors, headers: { ...config.sse.headers, Vary: given } });
      const stream = await ask(url, { Origin: APP });
      assert.equal(stream.headers.vary, expected);
      stream.close();
    }
  });

  const wrong: [string, unknown, RegExp][] = [
    ['"*" with credentials', { origins: '*', credentials: true }, /"\*" and credentials.*name the origins/],
    ['no origins', {}, /cors\.origins is undefined/],
    ['an empty list', { origins: [] }, /at least one/],
    ['"*" in a list', { origins: ['*'] }, /"\*" is none/],
    ['one origin that is no list', { origins: APP }, /cors\.origins/],
    ['"null"', { origins: ['null'] }, /sandboxed/],
    ['a path', { origins: [`${APP}/app`] }, /none/],
    ['a slash at the end', { origins: [`${APP}/`] }, /without the default port, a path or a slash at the end/],
    ['a default port', { origins: [`${APP}:443`] }, /none/],
    ['upper case', { origins: ['https://App.example.com'] }, /none/],
    ['no scheme', { origins: ['app.example.com'] }, /none/],
    ['a pattern', { origins: ['https://*.example.com'] }, /none/],
    ['credentials that are no boolean', { origins: [APP], credentials: 'yes' }, /cors\.credentials is "yes"/],
    ['an unknown name', { origins: [APP], methods: ['GET'] }, /cors\.methods is not an option/],
    ['true', true, /cors is true/],
  ];
  for (const [what, value, text] of wrong) {
    it(`is refused at boot with ${what}`, () => {
      assert.throws(
        () => checkOptions({ ...config.sse, cors: value }),
        (error: Error & { code: string }) => {
          assert.equal(error.code, 'ERR_SSE_CONFIG');
          assert.match(error.message, text);
          return true;
        },
      );
    });
  }

  it('is refused at boot when the headers say otherwise', () => {
    for (const headers of [
      { 'access-control-allow-origin': 'https://other.example' },
      { 'Access-Control-Allow-Credentials': 'true' },
    ]) {
      assert.throws(() => checkOptions({ ...config.sse, cors, headers: { ...config.sse.headers, ...headers } }), {
        code: 'ERR_SSE_CONFIG',
      });
    }
  });

  it('takes the origins of apps that are no web pages', () => {
    const origins = ['capacitor://localhost', 'chrome-extension://abcdefgh', 'http://[::1]:3000'];
    assert.deepEqual(checkOptions({ ...config.sse, cors: { origins } }).cors, { origins });
  });
});

describe('config.sse.cors in an Egg app', () => {
  it('answers a preflight before CSRF tokens and logins are asked for', async () => {
    const cluster = await Cluster.start({ config: { sse: { cors }, security: { csrf: { enable: true } } } });
    const preflight = await Stream.open(`${cluster.url}/stream`, {
      method: 'OPTIONS',
      headers: { Origin: APP, 'Access-Control-Request-Method': 'GET' },
    });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers['access-control-allow-origin'], APP);
    const stream = await ask(`${cluster.url}/stream`, { Origin: APP });
    assert.equal(stream.headers['access-control-allow-origin'], APP);
    assert.match(stream.headers.vary!, /Origin/);
    const refused = await Stream.open(`${cluster.url}/stream?connectKey=@x`, { headers: { Origin: APP } });
    assert.equal(refused.status, 400);
    assert.equal(refused.headers['access-control-allow-origin'], APP);
    stream.close();
    await cluster.stop();
  });
});
