import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { json } from 'node:stream/consumers';
import type { AddressInfo } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from '../support/chromium';
import { Cluster } from '../support/cluster';
import { eventually } from '../support/eventually';
import { freePort } from '../support/free_port';
import { Nginx, type Change } from '../support/nginx';
import { plainServers } from '../support/plain';
import { Stream } from '../support/stream';

// A safety net alone: every wait is for a condition.
const WAIT_MS = 60_000;

// Three times what a browser opens over HTTP/1.1, and two more.
const STREAMS = 20;
const SECRET = 'a-secret-of-this-test';
const SKIPPED = "the docs' nginx";

const BUFFERED: Change = ['proxy_buffering off;', ''];
const HEADER_IGNORED: Change = ['proxy_read_timeout 60s;', 'proxy_ignore_headers X-Accel-Buffering;'];

describe('nginx, configured as the docs say,', () => {
  const startPlain = plainServers();

  let cluster: Cluster;
  let nginx: Nginx | undefined;
  let browser: Browser | undefined;
  const nginxes: Nginx[] = [];
  let keys = 0;

  before(async () => {
    // Without pings, a message that is held back somewhere is pushed on by nothing.
    const config = { sse: { pingInterval: 0, publisher: { secret: SECRET } } };
    cluster = await Cluster.start({ workers: 2, config });
    nginx = await startNginx(cluster.port);
    browser = await launchChromium(`${SKIPPED} with a browser`);
  });

  after(async () => {
    await browser?.close();
    for (const started of nginxes) await started.stop();
    await cluster?.stop();
  });

  async function startNginx(port: number, ...changes: Change[]): Promise<Nginx | undefined> {
    const started = await Nginx.start(SKIPPED, port, changes);
    if (started !== undefined) nginxes.push(started);
    return started;
  }

  /** A test that is skipped without nginx. */
  function withNginx(sentence: string, body: (nginx: Nginx, test: Mocha.Context) => Promise<void>): void {
    it(sentence, async function () {
      if (nginx === undefined) this.skip();
      await body(nginx, this);
    });
  }

  /** A test that is skipped without a browser; `open` opens a page with streams of a key of its own. */
  function inBrowser(sentence: string, body: (nginx: Nginx, open: () => Promise<StreamsPage>) => Promise<void>): void {
    withNginx(sentence, async (before, test: Mocha.Context) => {
      if (browser === undefined) test.skip();
      const context = await browser.newContext({ baseURL: before.url, ignoreHTTPSErrors: true });
      context.setDefaultTimeout(WAIT_MS);
      try {
        await body(before, async () => StreamsPage.open(await context.newPage(), newKey()));
        assert.equal(cluster.log('common-error.log'), '');
      } finally {
        await context.close();
      }
    });
  }

  function newKey(): string {
    return `key-${++keys}`;
  }

  async function publish(key: string, data: string, { url }: { url: string } = cluster): Promise<void> {
    const response = await fetch(`${url}/publish?key=${key}&data=${data}`);
    assert.equal(response.status, 200);
  }

  /** How many connections hold a key, over both workers. */
  async function total(key: string): Promise<number> {
    const { clients } = (await (await fetch(`${cluster.url}/total?key=${key}`)).json()) as { clients: number };
    return clients;
  }

  inBrowser('opens 20 streams of a page at once, and hands on every message as it comes', async (before, open) => {
    const page = await open();
    assert.equal(await page.protocol(), 'h2');
    assert.equal(await total(page.key), STREAMS);
    for (const { url } of cluster.workers()) {
      const { connections } = (await (await fetch(`${url}/stats`)).json()) as { connections: number };
      assert.ok(connections > 0, 'both workers have some');
    }
    const messages = ['one', 'two', 'three'];
    for (const [index, message] of messages.entries()) {
      await publish(page.key, message);
      await page.gets(messages.slice(0, index + 1));
    }

    await page.close();
    await eventually(async () => (await total(page.key)) === 0, 'the workers have noticed that they are gone');
    const ours = (): string[] => before.log.filter((line) => line.includes(`connectKey=${page.key} `));
    await eventually(() => ours().length === STREAMS, 'all of them are in the log');
    const protocolsAndConnections = new Set(ours().map((line) => line.split(' ').slice(0, 2).join(' ')));
    assert.match([...protocolsAndConnections].join(), /^HTTP\/2\.0 \d+$/, 'all came on one connection');
  });

  inBrowser('brings them back when a worker is killed, with every message once', async (_, open) => {
    const page = await open();
    const [killed, other] = await cluster.allWorkers();
    await publish(page.key, 'before', other);
    await page.gets(['before']);
    await cluster.signal(killed!.pid, 'SIGKILL');
    await publish(page.key, 'meanwhile', other);
    await eventually(async () => (await total(page.key)) === STREAMS, 'all are back');
    await publish(page.key, 'after', other);
    await page.gets(['before', 'meanwhile', 'after']);
    await cluster.allWorkers();
  });

  inBrowser('lets nobody go for good when it is reloaded, nor while Egg is away', async (before, open) => {
    const page = await open();
    await publish(page.key, 'before');
    await page.gets(['before']);
    const old = new Set(before.workers());
    before.reload(await freePort());
    await eventually(() => !before.workers().some((pid) => old.has(pid)), 'worker_shutdown_timeout has ended the old');
    await publish(page.key, 'meanwhile');
    await page.until('streams.every(({ busy }) => busy > 0)');
    const { status } = await fetchTls(before, '/stream', { method: 'POST' });
    assert.equal(status, 502);
    before.reload(cluster.port);
    await page.gets(['before', 'meanwhile']);
    await publish(page.key, 'after');
    await page.gets(['before', 'meanwhile', 'after']);
  });

  withNginx('serves clients of HTTP/1.1, plain and compressed, and lets them come back', async ({ url, ca }) => {
    for (const encoding of ['identity', 'gzip']) {
      const key = newKey();
      const options = { ca, headers: { 'Accept-Encoding': encoding } };
      const first = await Stream.open(`${url}/stream?connectKey=${key}`, options);
      assert.equal(first.response.httpVersion, '1.1');
      assert.equal(first.headers['content-encoding'], encoding === 'gzip' ? 'gzip' : undefined);
      await first.until(({ events }) => events.length === 1);
      for (const [index, message] of ['one', 'two'].entries()) {
        await publish(key, message);
        await first.untilMessages(index + 1);
      }
      first.close();
      await eventually(async () => (await total(key)) === 0, 'its worker has noticed that it is gone');
      await publish(key, 'missed');
      const headers = { ...options.headers, 'Last-Event-ID': first.lastEventId };
      const second = await Stream.open(`${url}/stream?connectKey=${key}`, { ca, headers });
      await second.untilMessages(1);
      assert.deepEqual([...first.data, ...second.data], ['one', 'two', 'missed']);
      second.close();
    }
  });

  withNginx('lets other services publish', async (before) => {
    const key = newKey();
    const stream = await Stream.open(`${before.url}/stream?connectKey=${key}`, { ca: before.ca });
    const { status, body } = await fetchTls(before, '/stream', {
      method: 'POST',
      headers: { Authorization: `Bearer ${SECRET}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ key, data: 'posted' }),
    });
    assert.deepEqual([status, (body as { reach: string }).reach], [200, 'everywhere']);
    await stream.untilMessages(1);
    assert.deepEqual(stream.data, ['posted']);
    stream.close();
  });

  withNginx('uses a connection to Egg again', async () => {
    let connections = 0;
    const app = createServer((_, response) => response.end('{}')).on('connection', () => connections++);
    app.listen(0, '127.0.0.1');
    await once(app, 'listening');
    const before = await startNginx((app.address() as AddressInfo).port);
    // On one connection, so that one process of nginx gets all of them.
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; i < 5; i++) assert.equal((await fetchTls(before!, '/', { agent })).status, 200);
    assert.equal(connections, 1);
    agent.destroy();
    app.closeAllConnections();
    app.close();
  });

  withNginx('holds nothing back if told so by the configuration or by the plugin, else it does', async () => {
    const { sse, port } = await startPlain({ pingInterval: 0 });
    const open = async (...changes: Change[]): Promise<Stream> => {
      const { url, ca } = (await startNginx(port, ...changes))!;
      return Stream.open(`${url}/stream`, { ca });
    };
    const told = [await open(HEADER_IGNORED), await open(BUFFERED)];
    // Its head may be held back as well.
    const held = open(BUFFERED, HEADER_IGNORED);
    await eventually(() => sse.countAll() === 3);
    await sse.publishAll('one');
    for (const stream of told) await stream.untilMessages(1);
    const got = await Promise.race([held.then(({ data }) => data), Promise.resolve([])]);
    assert.deepEqual(got, [], 'it holds the message back');
    sse.closeAll();
    assert.deepEqual((await (await held).untilEnd()).data, ['one']);
  });

  withNginx('ends a stream that is quiet for proxy_read_timeout, unless pings come sooner', async () => {
    const hasty: Change = ['proxy_read_timeout 60s;', 'proxy_read_timeout 3s;'];
    const open = async (pingInterval: number): Promise<Stream> => {
      const { port } = await startPlain({ pingInterval });
      const { url, ca } = (await startNginx(port, hasty))!;
      return Stream.open(`${url}/stream`, { ca });
    };
    const quiet = await open(0);
    const pinged = await open(250);
    await quiet.untilEnd();
    // More than three seconds of them.
    await pinged.until(({ comments }) => comments.length >= 16);
    pinged.close();
  });
});

/** A page that has many streams of a key, and keeps what they get. */
class StreamsPage {
  readonly key: string;
  readonly #page: Page;

  private constructor(page: Page, key: string) {
    this.#page = page;
    this.key = key;
  }

  /** Opens one; resolves when all of its streams are open at once. */
  static async open(page: Page, key: string): Promise<StreamsPage> {
    await page.goto('/pid');
    await page.evaluate(`
      globalThis.streams = Array.from({ length: ${STREAMS} }, () => {
        const source = new EventSource('/stream?connectKey=${key}');
        source.messages = [];
        source.busy = 0;
        source.onmessage = ({ data }) => source.messages.push(data);
        source.addEventListener('sse:busy', () => source.busy++);
        return source;
      });
    `);
    const opened = new StreamsPage(page, key);
    await opened.until('streams.every(({ readyState }) => readyState === EventSource.OPEN)');
    return opened;
  }

  async until(condition: string): Promise<void> {
    await this.#page.waitForFunction(condition);
  }

  /** Resolves when each stream has got so many messages; fails unless they are these. */
  async gets(messages: readonly string[]): Promise<void> {
    await this.until(`streams.every(({ messages }) => messages.length >= ${messages.length})`);
    const all: string[][] = await this.#page.evaluate('streams.map(({ messages }) => messages)');
    for (const got of all) assert.deepEqual(got, messages);
  }

  /** What the page itself came over. */
  async protocol(): Promise<string> {
    return this.#page.evaluate(`performance.getEntriesByType('navigation')[0].nextHopProtocol`);
  }

  async close(): Promise<void> {
    await this.#page.close();
  }
}

/** A request over HTTP/1.1 with TLS; what it gets may be JSON. */
async function fetchTls(
  { url, ca }: Nginx,
  path: string,
  { body, ...options }: { method?: string; headers?: Record<string, string>; body?: string; agent?: Agent } = {},
): Promise<{ status: number; body: unknown }> {
  const sent = request(url + path, { ca, agent: false, ...options });
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  if (response.headers['content-type']?.startsWith('text/html') === true) {
    response.resume();
    return { status: response.statusCode!, body: undefined };
  }
  return { status: response.statusCode!, body: await json(response) };
}
