import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serveClient } from '../../lib/http/client_script';
import { browserScene } from '../support/browser_scene';
import { launchChromium } from '../support/chromium';
import { Cluster } from '../support/cluster';
import { eventually } from '../support/eventually';
import { HTML } from '../support/tabs';

const HELLO = 'retry: 20\nid: 1\nevent: sse:hello\ndata: {"keys":[],"pingInterval":0}\n\n';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

describe("the browser client's connection", () => {
  const { closes, serve, tabsOf, inBrowser } = browserScene(
    launchChromium,
    "the tests of the browser client's connection",
  );

  /** A server that answers requests for streams as it is told, one after the other; the last answer stays. */
  async function script(...answers: Answer[]): Promise<{ url: string; server: Server; gets: IncomingMessage[] }> {
    const gets: IncomingMessage[] = [];
    const server = createServer((request, response) => {
      if (request.url === '/stream/client.js') return serveClient(request, response);
      if (request.url === '/page') return void response.setHeader('Content-Type', 'text/html').end(HTML());
      if (request.method === 'HEAD') return void response.writeHead(200, { 'Content-Type': 'text/event-stream' }).end();
      const answer = answers[Math.min(gets.length, answers.length - 1)]!;
      gets.push(request);
      return answer(request, response);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    closes({
      close: async () => {
        server.closeAllConnections();
        server.close();
      },
    });
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/stream`, server, gets };
  }

  const stream: Answer = (_request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' }).write(HELLO);
  };
  const status =
    (code: number, headers: Record<string, string> = {}): Answer =>
    (_request, response) => {
      response.writeHead(code, headers).end();
    };

  for (const mode of ['SharedWorker', 'leader', 'own'] as const) {
    inBrowser(`comes back when the server was killed and started again (${mode})`, async () => {
      const first = await Cluster.start();
      let second: Cluster | undefined;
      try {
        const tabs = await tabsOf({ url: `${first.url}/stream` }, mode);
        const tab = await tabs.open({ keys: ['a'] });
        await fetch(`${first.url}/publish?key=a&data=before`);
        await tab.hears('before');
        await first.kill();
        await tab.inState('waiting');
        second = await Cluster.start({ port: first.port });
        await tab.inState('open');
        await fetch(`${second.url}/publish?key=a&data=after`);
        await tab.hears('after');
        assert.deepEqual(await tab.data(), ['before', 'after']);
        const [gap] = await tab.gaps();
        assert.deepEqual(JSON.parse(gap!.data), { reason: 'restarted', keys: ['@all', '@anonymous', 'a'] });
      } finally {
        await first.stop();
        await second?.stop();
      }
    });

    inBrowser(`waits while it is offline, and is back as soon as it is online (${mode})`, async () => {
      const server = await serve();
      const tabs = await tabsOf(server, mode);
      const tab = await tabs.open({ keys: ['a'] });
      await tabs.context.setOffline(true);
      server.sse.closeAll();
      await eventually(async () => (await tab.run('sse.state')) !== 'open' || mode === 'SharedWorker');
      await server.sse.publish('a', 'meanwhile');
      await tabs.context.setOffline(false);
      await tab.hears('meanwhile');
      await tab.inState('open');
    });
  }

  inBrowser('comes back after a 503, when it is told to, and is then accepted', async () => {
    const server = await script(status(503, { 'Retry-After': '1' }), status(500), status(429), stream);
    const tab = await (await tabsOf(server)).open({ keys: ['a'] });
    const states = await tab.states();
    assert.deepEqual(
      states.map(({ state, status }) => [state, status]),
      [
        ['waiting', 503],
        ['connecting', undefined],
        ['waiting', 500],
        ['connecting', undefined],
        ['waiting', 429],
        ['connecting', undefined],
        ['open', undefined],
      ],
    );
    assert.equal(states[0]?.retryIn, 1_000);
    assert.equal(server.gets.length, 4);
  });

  inBrowser('asks no more after what is meant for good, and says what that was', async () => {
    for (const code of [204, 401, 403, 404]) {
      const server = await script(status(code));
      const tab = await (await tabsOf(server)).open({ keys: ['a'] }, { opens: false });
      await tab.inState('closed');
      assert.deepEqual(await tab.states(), [{ state: 'closed', status: code, reason: 'status' }]);
      assert.equal(server.gets.length, 1);
    }
    const html = await script((_request, response) => void response.setHeader('Content-Type', 'text/html').end('x'));
    const tab = await (await tabsOf(html)).open({ keys: ['a'] }, { opens: false });
    await tab.inState('closed');
    assert.deepEqual(await tab.states(), [{ state: 'closed', status: 200, reason: 'type' }]);
  });

  inBrowser('comes back when it is told to after sse:busy, and after sse:bye', async () => {
    const server = await script(
      (_request, response) => {
        response.writeHead(200, { 'Content-Type': 'text/event-stream' });
        response.end('retry: 30\nevent: sse:busy\ndata: {"code":"ERR_SSE_OVERLOAD","retry":30}\n\n');
      },
      (_request, response) => {
        response.writeHead(200, { 'Content-Type': 'text/event-stream' });
        response.end(`${HELLO}retry: 40\nevent: sse:bye\ndata: {"reason":"shutdown"}\n\n`);
      },
      stream,
    );
    const tab = await (await tabsOf(server)).open({ keys: ['a'] });
    await eventually(() => server.gets.length === 3);
    const waits = (await tab.states()).filter(({ state }) => state === 'waiting');
    assert.deepEqual(
      waits.map(({ reason, retryIn }) => [reason, retryIn]),
      [
        ['ERR_SSE_OVERLOAD', 30],
        ['shutdown', 40],
      ],
    );
  });

  inBrowser('takes a line for dead on which neither a byte nor a ping comes', async () => {
    const server = await script((_request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      response.write(HELLO.replace('"pingInterval":0', '"pingInterval":100'));
    }, stream);
    const tab = await (await tabsOf(server)).open({ keys: ['a'] });
    await eventually(() => server.gets.length === 2);
    assert.equal((await tab.states()).find(({ state }) => state === 'waiting')?.reason, 'timeout');
    assert.equal(server.gets[1]!.headers['last-event-id'], '1');
  });

  inBrowser('leaves a quiet line alone as long as it is pinged', async () => {
    const server = await serve({ pingInterval: 500 });
    const tab = await (await tabsOf(server)).open({ keys: ['a'] });
    let pings = 0;
    server.sse.on('close', () => (pings = Number.NEGATIVE_INFINITY));
    const began = performance.now();
    await eventually(() => performance.now() - began > 4_000);
    assert.deepEqual([await tab.states(), pings], [[{ state: 'open' }], 0]);
  });

  inBrowser('asks for a new token once when the old one is refused, in a shared worker as well', async () => {
    for (const mode of ['SharedWorker', 'leader', 'own'] as const) {
      const server = await serve({ retry: 20 });
      let valid = 'token-1';
      server.sse.authorize((request) => {
        const { authorization } = (request as unknown as IncomingMessage).headers;
        if (authorization !== valid) throw Object.assign(new Error('old token'), { status: 401 });
        return {};
      });
      const tabs = await tabsOf(server, mode);
      const tab = await tabs.open();
      await tab.run(`window.token = 'token-1'; window.asked = [];
        listen(connect('/stream', { keys: ['a'], headers: async (asking) => {
          asked.push(asking);
          if (asking.status === 401) token = 'token-2';
          return { Authorization: token };
        } })); undefined`);
      await tab.inState('open');
      valid = 'token-2';
      server.sse.closeAll();
      await eventually(() => server.sse.countAll() === 1);
      await server.sse.publish('a', 'with the new one');
      await tab.hears('with the new one');
      assert.equal(await tab.run('asked.filter(({ status }) => status === 401).length'), 1);
      // Refused with a new one as well: for good.
      valid = 'token-3';
      server.sse.closeAll();
      await tab.inState('closed');
      assert.deepEqual((await tab.states()).at(-1), { state: 'closed', status: 401, reason: 'status' });
      assert.equal(await tab.run('asked.filter(({ status }) => status === 401).length'), 2);
    }
  });

  inBrowser('goes without the shared worker where that cannot be had, and shares all the same', async () => {
    const server = await serve();
    const ways = [
      { options: { worker: '/nowhere.js' } },
      { options: { worker: false as const } },
      { csp: "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; worker-src 'none'", options: {} },
    ];
    for (const { csp, options } of ways) {
      const tabs = await tabsOf(server, 'SharedWorker', csp === undefined ? {} : { csp });
      const all = [await tabs.open({ keys: ['a'], ...options }), await tabs.open({ keys: ['a'], ...options })];
      assert.equal(server.sse.countAll(), 1);
      await server.sse.publish('a', 'hello');
      for (const tab of all) await tab.hears('hello');
      await tabs.close();
      await eventually(() => server.sse.countAll() === 0);
    }
  });

  inBrowser('has a connection of its own when told so, and for each key of which a page wants all', async () => {
    const server = await serve();
    const tabs = await tabsOf(server, 'SharedWorker');
    const alone = [await tabs.open({ keys: ['a'], share: false }), await tabs.open({ keys: ['a'], share: false })];
    assert.equal(server.sse.countAll(), 2);
    for (const tab of alone) await tab.close();
    await eventually(() => server.sse.countAll() === 0);

    const both = [await tabs.open({ keys: ['a', 'run:1'] }), await tabs.open({ keys: ['a'] })];
    await both[1]!.run(`sse.add('run:1')`);
    await eventually(() => server.sse.countAll() === 3 && server.sse.count('run:1') === 2);
    for (const key of ['run:1', 'a']) await server.sse.publish(key, key);
    for (const tab of both) {
      await tab.hears('a');
      await tab.hears('run:1');
    }
    await both[0]!.run(`sse.remove('run:1')`);
    await eventually(() => server.sse.count('run:1') === 1);
    assert.equal(await both[0]!.run('sse.state'), 'open');
  });

  inBrowser('begins after an event that the page names', async () => {
    const server = await serve();
    const { id } = await server.sse.publish('a', '0');
    for (const n of ['1', '2']) await server.sse.publish('a', n);
    const tab = await (await tabsOf(server, 'SharedWorker')).open({ keys: ['a'], lastEventId: id });
    await tab.hears('2');
    assert.deepEqual(await tab.data(), ['1', '2']);
    await server.sse.publish('a', '3');
    await tab.hears('3');
    await tab.reload();
    await server.sse.publish('a', '4');
    await tab.hears('4');
    assert.deepEqual(await tab.data(), ['4']);
  });

  inBrowser('tells of a gap', async () => {
    const server = await serve({ history: { age: 300_000, count: 2, bytes: 1_000_000 }, retry: 20 });
    const tab = await (await tabsOf(server)).open({ keys: ['a'] });
    await server.sse.publish('a', '0');
    await tab.hears('0');
    server.sse.closeAll();
    for (const n of ['1', '2', '3', '4']) await server.sse.publish('a', n);
    await tab.hears('4');
    assert.deepEqual(await tab.data(), ['0', '3', '4']);
    assert.deepEqual(
      (await tab.gaps()).map(({ data }) => JSON.parse(data) as object),
      [{ reason: 'evicted', keys: ['a'] }],
    );
  });

  inBrowser('reads a stream of another origin, and finds out there who it is', async () => {
    // A page that no server has served may not read from this machine.
    const pages = await script(status(404));
    const { origin } = new URL(pages.url);
    const server = await serve({ cors: { origins: [origin], credentials: true }, retry: 20 });
    server.sse.authorize(() => ({ user: 'änn' }));
    const tabs = await tabsOf(pages, 'SharedWorker', { isServed: true });
    const all = [];
    for (let i = 0; i < 2; i++) all.push(await tabs.open({ url: server.url, keys: ['a'], withCredentials: true }));
    assert.equal(server.sse.countAll(), 1);
    await server.sse.publish('a', '0');
    for (const tab of all) await tab.hears('0');
    server.sse.closeAll();
    await server.sse.publish('a', '1');
    for (const tab of all) {
      await tab.hears('1');
      assert.deepEqual(await tab.data(), ['0', '1']);
    }
  });
});
