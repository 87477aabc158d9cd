import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { browserScene } from '../support/browser_scene';
import { launchChromium } from '../support/chromium';
import { eventually } from '../support/eventually';
import { launchFirefox } from '../support/firefox';
import type { PlainServer } from '../support/plain';
import { Proxy } from '../support/proxy';

const numbers = (count: number): string[] => Array.from({ length: count }, (_, n) => String(n));

const BROWSERS = { Chromium: launchChromium, Firefox: launchFirefox };

for (const [name, launch] of Object.entries(BROWSERS)) {
  describe(`the browser client in ${name}`, () => {
    const { closes, serve, tabsOf, inBrowser } = browserScene(launch, `the tests of the browser client in ${name}`);

    for (const mode of ['SharedWorker', 'leader'] as const) {
      describe(mode === 'leader' ? 'without SharedWorker, with one tab as the leader' : 'with a SharedWorker', () => {
        inBrowser('opens one connection for ten tabs, and each gets what is for its keys, once', async () => {
          const server = await serve();
          const tabs = await tabsOf(server, mode);
          const all = [];
          for (const n of numbers(10)) all.push(await tabs.open({ keys: ['all', `tab:${n}`] }));
          assert.equal(server.sse.countAll(), 1);
          assert.equal(await all[0]!.run(`'SharedWorker' in window`), mode === 'SharedWorker');

          await server.sse.publish('all', 'one');
          await server.sse.publish(['tab:3', 'tab:4'], { event: 'created', data: 'for two' });
          await server.sse.publish('nobody', 'for nobody');
          await server.sse.publishAll('for everyone');
          await server.sse.publish('all', 'end');
          for (const tab of all) await tab.hears('end');
          for (const [n, tab] of all.entries()) {
            const mine = n === 3 || n === 4 ? ['for two'] : [];
            assert.deepEqual(await tab.data(), ['one', ...mine, 'for everyone', 'end']);
            assert.equal((await tab.states()).at(-1)?.state, 'open');
          }
          assert.equal(server.sse.countAll(), 1);
        });

        inBrowser('ends the connection when the last tab is closed, and drops the keys of those that are', async () => {
          const server = await serve();
          const tabs = await tabsOf(server, mode);
          const stays = await tabs.open({ keys: ['a'] });
          const goes = await tabs.open({ keys: ['b'] });
          assert.deepEqual([server.sse.count('a'), server.sse.count('b')], [1, 1]);
          await goes.close();
          await eventually(() => server.sse.count('b') === 0);
          await server.sse.publish('a', 'still here');
          await stays.hears('still here');
          await stays.close();
          await eventually(() => server.sse.countAll() === 0);
        });

        inBrowser('loses nothing and repeats nothing when tabs are closed one after the other', async () => {
          const server = await serve();
          const tabs = await tabsOf(server, mode);
          const all = [];
          for (const n of numbers(4)) all.push(await tabs.open({ keys: ['a', `tab:${n}`] }));
          const last = all.at(-1)!;
          let published = 0;
          const over = new AbortController();
          const publishing = (async () => {
            while (!over.signal.aborted) {
              await server.sse.publish(published % 2 === 0 ? 'a' : 'tab:3', String(published++));
              await new Promise((resolve) => setTimeout(resolve, 2));
            }
          })();
          // The first is the leader.
          for (const tab of all.slice(0, -1)) {
            const seen = (await last.data()).length;
            await tab.close();
            await eventually(async () => (await last.data()).length > seen + 10);
            await eventually(() => server.sse.countAll() === 1);
          }
          over.abort();
          await publishing;
          await last.hears(String(published - 1));
          assert.deepEqual(await last.data(), numbers(published));
          assert.deepEqual(await last.gaps(), []);
        });

        inBrowser('goes on where it was after a reload of any tab', async () => {
          const server = await serve();
          const tabs = await tabsOf(server, mode);
          const [one, other] = [await tabs.open({ keys: ['a'] }), await tabs.open({ keys: ['a', 'b'] })];
          for (const tab of [one, other, one, other]) {
            await server.sse.publish('a', 'before');
            for (const each of [one, other]) await each.hears('before');
            await tab.page.goto('about:blank');
            await server.sse.publish('a', 'meanwhile');
            await tab.page.goBack();
            await tab.isReady();
            await tab.inState('open');
            await server.sse.publish('a', 'after');
            await tab.hears('after');
            assert.deepEqual(await tab.data(), ['meanwhile', 'after']);
            for (const each of [one, other]) {
              await each.hears('after');
              await each.run('got.length = 0');
            }
          }
        });

        inBrowser('goes on where it was after a reload of the only tab', async () => {
          const server = await serve();
          const tabs = await tabsOf(server, mode);
          const tab = await tabs.open({ keys: ['a'] });
          await server.sse.publish('a', 'before');
          await tab.hears('before');
          await tab.page.goto('about:blank');
          await eventually(() => server.sse.countAll() === 0);
          await server.sse.publish('a', 'meanwhile');
          await tab.page.goBack();
          await tab.isReady();
          await tab.hears('meanwhile');
          assert.deepEqual(await tab.data(), ['meanwhile']);
        });

        inBrowser('adds and removes keys at its place, without a change of state', async () => {
          const server = await serve();
          const tabs = await tabsOf(server, mode);
          const one = await tabs.open({ keys: ['a'] });
          const other = await tabs.open({ keys: ['a'] });
          await server.sse.publish('b', 'before anybody held it');
          await server.sse.publish('a', '0');
          await one.run(`sse.add('b')`);
          await server.sse.publish('a', '1');
          await eventually(() => server.sse.count('b') === 1);
          await server.sse.publish('b', '2');
          await server.sse.publish('a', '3');
          await one.hears('3');
          assert.deepEqual(await one.data(), ['0', '1', '2', '3']);
          await other.hears('3');
          assert.deepEqual(await other.data(), ['0', '1', '3']);
          // What a tab adds that the connection holds already goes nowhere.
          const { hits } = countRequests(server);
          await other.run(`sse.add('b')`);
          await one.run(`sse.remove('b')`);
          await server.sse.publish('b', '4');
          await other.hears('4');
          assert.equal(hits.length, 0);
          await other.run(`sse.remove('b')`);
          await eventually(() => server.sse.count('b') === 0);
          assert.deepEqual(await one.data(), ['0', '1', '2', '3']);
          for (const tab of [one, other]) {
            assert.deepEqual(
              (await tab.states()).map(({ state }) => state),
              ['open'],
            );
          }
        });

        inBrowser('gives a new tab what comes from now on, with keys that nobody held as well', async () => {
          const server = await serve();
          const tabs = await tabsOf(server, mode);
          const one = await tabs.open({ keys: ['a'] });
          for (const key of ['a', 'b']) await server.sse.publish(key, 'before');
          await one.hears('before');
          const other = await tabs.open({ keys: ['a', 'b'] });
          for (const key of ['a', 'b']) await server.sse.publish(key, `after ${key}`);
          await other.hears('after b');
          assert.deepEqual(await other.data(), ['after a', 'after b']);
        });

        inBrowser('comes back to where it was when the line is cut, for all tabs', async () => {
          const server = await serve({ retry: 50 });
          const proxy = await Proxy.start(server.port);
          closes({ close: () => proxy.stop() });
          const tabs = await tabsOf({ url: `http://127.0.0.1:${proxy.options.port}/stream` }, mode);
          const all = [await tabs.open({ keys: ['a'] }), await tabs.open({ keys: ['a'] })];
          await server.sse.publish('a', '0');
          for (const tab of all) await tab.hears('0');
          proxy.cut();
          for (const tab of all)
            await eventually(async () => (await tab.states()).some(({ state }) => state === 'waiting'));
          await server.sse.publish('a', '1');
          proxy.mend();
          for (const tab of all) {
            await tab.hears('1');
            await tab.inState('open');
            assert.deepEqual(await tab.data(), ['0', '1']);
          }
          assert.equal(server.sse.countAll(), 1);
        });

        inBrowser('tells all tabs why it was refused for good, and asks no more', async () => {
          const server = await serve({ retry: 50 });
          let refuse = 0;
          server.sse.authorize(() => {
            if (refuse > 0) throw Object.assign(new Error('no'), { status: refuse });
            return {};
          });
          const tabs = await tabsOf(server, mode);
          const all = [await tabs.open({ keys: ['a'] }), await tabs.open({ keys: ['a'] })];
          refuse = 403;
          const { hits } = countRequests(server);
          server.sse.closeAll();
          for (const tab of all) {
            await tab.inState('closed');
            assert.deepEqual((await tab.states()).at(-1), { state: 'closed', reason: 'status', status: 403 });
          }
          assert.equal(hits.length, 1);
          // Connecting is the page's to do again.
          refuse = 0;
          await all[0]!.connect({ keys: ['a'] });
          await all[0]!.inState('open');
        });

        inBrowser(
          'never mixes users: each has a connection of their own, and a change of user ends the tab',
          async () => {
            const server = await serve({ retry: 50 });
            server.sse.authorize((request) => ({ user: cookieOf(request as unknown as IncomingMessage) }));
            const tabs = await tabsOf(server, mode);
            const { origin } = new URL(server.url);
            const login = (value: string): Promise<void> =>
              tabs.context.addCookies([{ name: 'user', value, url: origin }]);
            await login('ann');
            const anns = [await tabs.open({ keys: ['a'] }), await tabs.open({ keys: ['a'] })];
            assert.equal(server.sse.countAll(), 1);
            await login('bob');
            const bobs = [await tabs.open({ keys: ['a'] }), await tabs.open({ keys: ['a'] })];
            assert.deepEqual([server.sse.count('@user:ann'), server.sse.count('@user:bob')], [1, 1]);

            await server.sse.publish('@user:ann', 'to Ann');
            await server.sse.publish('@user:bob', 'to Bob');
            await server.sse.publish('a', 'to all');
            for (const tab of [...anns, ...bobs]) await tab.hears('to all');
            for (const tab of anns) assert.deepEqual(await tab.data(), ['to Ann', 'to all']);
            for (const tab of bobs) assert.deepEqual(await tab.data(), ['to Bob', 'to all']);

            await server.sse.disconnect('@user:ann');
            for (const tab of anns) {
              await tab.inState('closed');
              assert.equal((await tab.states()).at(-1)?.reason, 'user');
            }
            await server.sse.publish('@user:bob', 'to Bob again');
            for (const tab of bobs) await tab.hears('to Bob again');
            for (const tab of anns) assert.deepEqual(await tab.data(), ['to Ann', 'to all']);
            await eventually(() => server.sse.countAll() === 1);
          },
        );

        inBrowser('is not held up by a tab that is busy, which gets all of it later', async () => {
          const server = await serve();
          const tabs = await tabsOf(server, mode);
          const [quick, slow] = [await tabs.open({ keys: ['a'] }), await tabs.open({ keys: ['a'] })];
          await slow.run(`window.block = (on) => { sse.on('message', ({ data }) => {
          if (data === '0') { const end = performance.now() + 3000; while (performance.now() < end); }
        }) }; block()`);
          for (const n of numbers(1_500)) await server.sse.publish('a', n);
          await quick.hears('1499');
          await slow.hears('1499');
          for (const tab of [quick, slow]) assert.deepEqual(await tab.data(), numbers(1_500));
        });

        // Only Chromium lets a worker be killed from outside.
        if (mode === 'SharedWorker' && name === 'Chromium') {
          inBrowser('goes on in a tab when the shared worker dies', async (browser) => {
            const server = await serve();
            const tabs = await tabsOf(server, mode);
            const all = [await tabs.open({ keys: ['a', 'b'] }), await tabs.open({ keys: ['a', 'c'] })];
            await server.sse.publish('a', '0');
            for (const tab of all) await tab.hears('0');
            const devtools = await browser.newBrowserCDPSession();
            const { targetInfos } = await devtools.send('Target.getTargets');
            const worker = targetInfos.find(({ type, url }) => type === 'shared_worker' && url.startsWith(server.url))!;
            await devtools.send('Target.closeTarget', { targetId: worker.targetId });
            for (const n of ['1', '2', '3']) await server.sse.publish('a', n);
            for (const tab of all) {
              await tab.hears('3');
              assert.deepEqual(await tab.data(), ['0', '1', '2', '3']);
              assert.deepEqual(await tab.gaps(), []);
            }
            await eventually(() => server.sse.countAll() === 1);
            await devtools.detach();
          });
        }

        inBrowser('parts when the server does not take the keys of all tabs on one connection', async () => {
          const server = await serve({ maxKeys: 4 });
          const tabs = await tabsOf(server, mode);
          const one = await tabs.open({ keys: ['a', 'b', 'c'] });
          const other = await tabs.open({ keys: ['d', 'e', 'f'] });
          await eventually(() => server.sse.countAll() === 2);
          for (const key of ['c', 'f']) {
            await eventually(() => server.sse.count(key) === 1);
            await server.sse.publish(key, key);
          }
          await one.hears('c');
          await other.hears('f');
        });
      });
    }
  });
}

function cookieOf({ headers: { cookie } }: IncomingMessage): string | undefined {
  return /user=(\w+)/.exec(cookie ?? '')?.[1];
}

/** Counts requests for a stream from now on. */
function countRequests(server: PlainServer): { hits: string[] } {
  const hits: string[] = [];
  server.server.on('request', ({ url, method }: IncomingMessage) => {
    if (url?.startsWith('/stream') && !url.endsWith('.js')) hits.push(`${method} ${url}`);
  });
  return { hits };
}
