import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from '../support/chromium';
import { Demo } from '../support/demo';
import { environment } from '../support/environment';
import { eventually } from '../support/eventually';
import { freePort } from '../support/free_port';
import { isAlive, type Process } from '../support/processes';
import { hasRedis, RedisServer } from '../support/redis_server';

// A safety net alone: every wait is for a condition.
const WAIT_MS = 60_000;

// Makes the page's browser lose a message on the stream of host B, the second that it opens, and get another one twice.
const LOSE_AND_REPEAT = `
  const { addEventListener, dispatchEvent } = EventTarget.prototype;
  const streams = [];
  EventTarget.prototype.addEventListener = function (name, ...rest) {
    if (name === 'said') streams.push(this);
    addEventListener.call(this, name, ...rest);
  };
  EventTarget.prototype.dispatchEvent = function (event) {
    const onB = event.type === 'said' && streams.indexOf(this) === 1;
    const { text } = onB ? JSON.parse(event.data) : {};
    if (text === '1') return true;
    if (text === '2') dispatchEvent.call(this, new MessageEvent('said', event));
    return dispatchEvent.call(this, event);
  };
`;

// Each has two processes of Redis, and two hosts, each a master, an agent and two workers.
const MIN_PROCESSES = 10;

describe('the demo on two hosts', () => {
  const skipped = 'the tests of the demo on two hosts';
  const canRun = hasRedis(skipped);

  describe('in a browser', () => {
    let browser: Browser | undefined;
    let demo: Demo;
    let page: Page;
    const errors: Error[] = [];

    before(async () => {
      if (canRun) browser = await launchChromium(skipped);
      if (browser !== undefined) demo = await Demo.start(0, 'start:redis');
    });

    after(async () => {
      await browser?.close();
      await demo?.kill();
    });

    /** A test in a page of its own, that fails for an error the page throws. */
    function inPage(sentence: string, body: () => Promise<void>, script = ''): void {
      it(sentence, async function () {
        if (browser === undefined) this.skip();
        page = await browser.newPage();
        page.setDefaultTimeout(WAIT_MS);
        page.on('pageerror', (error) => errors.push(error));
        try {
          await page.addInitScript(script);
          await page.goto(demo.url);
          for (const host of ['a', 'b']) await inState(host, 'open');
          await body();
          assert.deepEqual(errors.splice(0), []);
        } finally {
          await page.close();
        }
      });
    }

    async function inState(host: string, state: string): Promise<void> {
      await page.locator(`[data-testid=host-${host}][data-state=${state}]`).waitFor();
    }

    async function send(host: string): Promise<void> {
      await page.getByTestId(`host-${host}-send`).click();
    }

    /** Waits until a stream has brought so many messages, and returns who sent which, in the order they came. */
    async function arrivals(host: string, count: number): Promise<string[]> {
      await page.getByTestId(`received-${host}`).getByText(String(count), { exact: true }).waitFor();
      const rows = page.getByTestId(`host-${host}-arrivals`).getByTestId('arrival');
      return rows.evaluateAll((all) => all.map((row) => row.textContent!));
    }

    async function verdict(outcome: string): Promise<string> {
      await page.locator(`[data-testid=proof][data-outcome=${outcome}]`).waitFor();
      return (await page.getByTestId('verdict').textContent())!;
    }

    async function workerOf(host: string): Promise<string> {
      const badge = page.getByTestId(`host-${host}-worker`);
      await badge.waitFor();
      return /^worker (\d+)$/.exec((await badge.textContent())!)![1]!;
    }

    inPage('shows on both streams what each host sends, each message once and in the same order', async () => {
      await send('a');
      assert.deepEqual(await arrivals('b', 1), ['1from host A']);
      await send('b');
      assert.deepEqual(await arrivals('a', 2), ['1from host A', '2from host B']);

      await page.getByTestId('send-both').click();
      const [onA, onB] = [await arrivals('a', 22), await arrivals('b', 22)];
      assert.deepEqual(onA, onB);
      assert.equal(new Set(onA).size, 22);
      assert.equal(onA.filter((text) => text.endsWith('from host B')).length, 11);
      assert.equal(await verdict('whole'), 'All 22 messages came on both streams, each once, in the same order.');
      for (const [counter, count] of [
        ['sent', '22'],
        ['missing', '0'],
        ['twice', '0'],
      ] as const)
        assert.equal(await page.getByTestId(counter).textContent(), count);
    });

    inPage('misses nothing when a worker of host B is killed, and says so', async () => {
      await send('a');
      await arrivals('b', 1);
      const killed = await workerOf('b');

      // The stream comes back when it may, so that what it misses is known.
      let comeBack = (): void => {};
      const released = new Promise<void>((resolve) => (comeBack = resolve));
      await page.route('**/stream?*', async (route) => {
        await released;
        await route.continue();
      });
      await page.getByTestId('host-b-kill').click();
      await inState('b', 'waiting');
      for (const host of ['a', 'b', 'a']) await send(host);
      const onA = await arrivals('a', 4);
      assert.equal(await verdict('waiting'), 'Host B’s stream is away: 3 messages wait for it.');
      comeBack();

      assert.deepEqual(await arrivals('b', 4), onA);
      assert.equal(await verdict('whole'), 'All 4 messages came on both streams, each once, in the same order.');
      const back = (await page.getByTestId('host-b-back').textContent())!;
      assert.match(back, /^Back after \d+\.\d s\. It missed 3 messages; here they are:$/);
      assert.notEqual(await workerOf('b'), killed);
      // Another worker has taken the place of the one that was killed.
      await page.locator(`[data-testid=host-b-pids]:has(> :nth-child(2)):not(:has-text("${killed}"))`).waitFor();
      await send('b');
      assert.deepEqual(await arrivals('a', 5), await arrivals('b', 5));
    });

    inPage('misses nothing when a stream was cut', async () => {
      await send('b');
      await arrivals('a', 1);
      await page.getByTestId('host-a-cut').click();
      await inState('a', 'closed');
      await page.getByTestId('send-both').click();
      const onB = await arrivals('b', 21);
      assert.equal(await page.getByTestId('received-a').textContent(), '1');

      await page.getByTestId('host-a-cut').click();
      assert.deepEqual(await arrivals('a', 21), onB);
      assert.match(await verdict('whole'), /^All 21 /);
    });

    inPage(
      'says how many messages are missing, and how many came twice',
      async () => {
        for (const count of [1, 2, 3]) {
          await send('a');
          await arrivals('a', count);
        }
        assert.equal(await verdict('broken'), '1 missing, 1 came twice.');
        assert.equal(await page.getByTestId('missing').textContent(), '1');
        assert.equal(await page.getByTestId('twice').textContent(), '1');
      },
      LOSE_AND_REPEAT,
    );

    it('leaves no process behind after Ctrl-C', async function () {
      if (browser === undefined) this.skip();
      const { processes } = demo;
      assert.ok(processes.length >= MIN_PROCESSES);
      await demo.interrupt();
      await allGone(processes);
      // The ticker's schedule may come to a worker that has just stopped, and is told so.
      assert.doesNotMatch(await demo.ended(), /ERR_SSE_(?!STOPPED)/);
    });
  });

  const onRedis = canRun ? it : it.skip;

  onRedis('ends as a whole when one host dies, and says which', async () => {
    const demo = await Demo.start(0, 'start:redis');
    const { processes } = demo;
    const [, master] = processes.filter(({ command }) => command.includes('host.ts'));
    process.kill(master!.pid, 'SIGKILL');

    assert.match(await demo.ended(), /^egg-sse demo: host [AB] ended with SIGKILL; see /m);
    await allGone(processes);
  });

  onRedis('ends as a whole when whoever started it is killed', async () => {
    const demo = await Demo.start(0, 'start:redis');
    const { processes } = demo;
    process.kill(
      processes.find(({ command }) => command.includes('start_redis.ts') && !isShell(command))!.pid,
      'SIGKILL',
    );

    await allGone(processes);
  });

  onRedis('takes the Redis that REDIS names, and leaves it running', async () => {
    const redis = await RedisServer.start();
    try {
      const demo = await Demo.start(0, 'start:redis', { REDIS: `127.0.0.1:${redis.port}` });
      const { processes } = demo;
      assert.ok(!processes.some(({ command }) => command.startsWith('redis-server')));
      assert.ok((await redis.admin.keys('*')).length > 0);

      await demo.interrupt();
      await allGone(processes);
      assert.equal(await redis.admin.ping(), 'PONG');
    } finally {
      await redis.stop();
    }
  });

  it('says that no Redis answers where REDIS says', async () => {
    const port = await freePort();
    await assert.rejects(
      Demo.start(0, 'start:redis', { REDIS: `127.0.0.1:${port}` }),
      new RegExp(`^egg-sse demo: no Redis answers at 127.0.0.1:${port}: `, 'm'),
    );
  });

  it('says how to get a Redis where there is none', async () => {
    const root = path.join(__dirname, '../..');
    const start = promisify(execFile)(process.execPath, ['--require', 'tsx/cjs', 'example/proof/start_redis.ts'], {
      cwd: root,
      env: { ...environment(), PATH: path.join(root, 'test'), PORT: '0' },
    });
    await assert.rejects(start, (error: { code: number; stderr: string }) => {
      assert.equal(error.code, 1);
      assert.match(error.stderr, /apt install redis-server.*brew install redis.*REDIS=127\.0\.0\.1:6379/);
      return true;
    });
  });
});

async function allGone(processes: readonly Process[]): Promise<void> {
  const left = (): Process[] => processes.filter(({ pid }) => isAlive(pid));
  await eventually(() => left().length === 0, 'all processes have ended');
}

function isShell(command: string): boolean {
  return command.startsWith('sh ');
}
