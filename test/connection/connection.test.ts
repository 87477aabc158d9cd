import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { eventually } from '../support/eventually';
import { plainServers, startPlain, type PlainServer } from '../support/plain';
import { Stream } from '../support/stream';

/** Publishes `count` messages of `bytes` each, at the pace of the pump. */
async function publishMany({ sse }: PlainServer, key: string, count: number, bytes: number): Promise<void> {
  for (let i = 0; i < count; i++) await sse.publish(key, `${i} ${'x'.repeat(bytes)}`);
}

const numbers = (stream: Stream): number[] => stream.data.map((data) => Number.parseInt(data, 10));

describe('a connection', () => {
  const start = plainServers();

  describe('a client that stops reading', () => {
    it('goes on from where it was when it reads again, and misses nothing that is kept', async () => {
      const server = await start({ maxUnsentBytes: 100_000, history: { age: 60_000, count: 10_000, bytes: 1e9 } });
      const stream = await Stream.open(`${server.url}?connectKey=a`);
      stream.pause();
      await publishMany(server, 'a', 300, 100_000);
      stream.resume();
      await stream.untilMessages(300);
      assert.deepEqual(
        numbers(stream),
        Array.from({ length: 300 }, (_, i) => i),
      );
      assert.deepEqual(stream.own('gap'), []);
      stream.close();
    });

    it('costs no more than maxUnsentBytes while 100 MB pass, and the others get them all', async () => {
      const maxUnsentBytes = 200_000;
      const server = await start({ maxUnsentBytes, history: { age: 60_000, count: 10_000, bytes: 4_000_000 } });
      const stalled = await Promise.all(Array.from({ length: 5 }, () => Stream.open(`${server.url}?connectKey=a`)));
      const healthy = await Stream.open(`${server.url}?connectKey=a`);
      for (const stream of stalled) stream.pause();
      let unsent = 0;
      for (let i = 0; i < 1_000; i++) {
        await server.sse.publish('a', `${i} ${'x'.repeat(100_000)}`);
        // The healthy one reads in this same process: it gets its turn.
        await healthy.untilMessages(i + 1);
        unsent = Math.max(unsent, server.sse.stats.unsentBytes);
        assert.ok(server.sse.stats.historyBytes <= 4_000_000 + 101_000);
      }
      assert.equal(healthy.messages.length, 1_000);
      assert.deepEqual(healthy.own('gap'), []);
      assert.ok(unsent <= 6 * maxUnsentBytes, `${unsent} bytes waited`);
      assert.ok(unsent > maxUnsentBytes, 'nobody was slow: the test saw nothing');
      healthy.close();
      for (const stream of stalled) stream.close();
    });

    it('is told of the gap when what it missed has left the log, then gets what is kept, in order', async () => {
      const server = await start({ maxUnsentBytes: 50_000, history: { age: 60_000, count: 20, bytes: 1e9 } });
      const stream = await Stream.open(`${server.url}?connectKey=a`);
      stream.pause();
      await publishMany(server, 'a', 300, 100_000);
      stream.resume();
      await stream.until((each) => each.messages.at(-1)?.data.startsWith('299 ') === true);
      const got = numbers(stream);
      const gap = stream.events.findIndex(({ event }) => event === 'sse:gap');
      assert.ok(gap > 0, 'there was no gap: the test saw nothing');
      assert.deepEqual(
        stream.own('gap').map(({ data }) => JSON.parse(data) as unknown),
        [{ reason: 'evicted', keys: ['a'] }],
      );
      const before = numbers(stream).slice(0, gap - 1);
      assert.deepEqual(
        before,
        Array.from({ length: before.length }, (_, i) => i),
      );
      assert.deepEqual(
        got.slice(gap - 1),
        Array.from({ length: 20 }, (_, i) => 280 + i),
      );
      stream.close();
    });

    it('is closed when it takes nothing for stallTimeout', async () => {
      const server = await start({ stallTimeout: 500, maxUnsentBytes: 1_000_000 });
      const reasons: string[] = [];
      server.sse.on('close', ({ reason }) => reasons.push(reason));
      const stalled = await Stream.open(`${server.url}?connectKey=a`);
      stalled.pause();
      await publishMany(server, 'a', 20, 1_000_000);
      await eventually(() => reasons.length === 1);
      assert.deepEqual(reasons, ['stalled']);
      assert.equal(server.sse.countAll(), 0);
      stalled.close();
    });

    it('is not closed as long as it takes something, however slowly', async () => {
      const stallTimeout = 2_000;
      const server = await start({ stallTimeout });
      const stream = await Stream.open(`${server.url}?connectKey=a`);
      // A client on a thin line: 64 kB every 20 ms.
      stream.response.on('data', () => {
        stream.pause();
        setTimeout(() => stream.resume(), 20);
      });
      const began = performance.now();
      await publishMany(server, 'a', 20, 1_000_000);
      await stream.untilMessages(20);
      assert.ok(performance.now() - began > 2 * stallTimeout, 'it was not slow: the test saw nothing');
      assert.deepEqual(
        numbers(stream),
        Array.from({ length: 20 }, (_, i) => i),
      );
      stream.close();
    });
  });

  describe('a message larger than maxUnsentBytes', () => {
    it('goes out alone', async () => {
      const server = await start({ maxUnsentBytes: 1_000 });
      const stream = await Stream.open(`${server.url}?connectKey=a`);
      const long = 'é'.repeat(5_000_000);
      await server.sse.publish('a', 'before');
      await server.sse.publish('a', long);
      await server.sse.publish('a', 'after');
      await stream.untilMessages(3);
      assert.deepEqual(
        stream.data.map((data) => data.length),
        [6, long.length, 5],
      );
      assert.equal(stream.data[1], long);
      stream.close();
    });
  });

  describe('maxAge', () => {
    it('ends each connection in its time, told, and spread', async () => {
      const maxAge = 1_000;
      const server = await start({ maxAge });
      const ages: number[] = [];
      server.sse.on('close', ({ openMs }) => ages.push(openMs));
      const streams = await Promise.all(Array.from({ length: 100 }, () => Stream.open(server.url)));
      for (const stream of streams) {
        await stream.untilEnd();
        assert.deepEqual(
          stream.own('bye').map(({ data }) => JSON.parse(data) as unknown),
          [{ reason: 'age' }],
        );
      }
      assert.equal(server.sse.countAll(), 0);
      assert.ok(Math.min(...ages) >= 0.8 * maxAge);
      assert.ok(new Set(ages.map((age) => Math.round(age / 50))).size >= 3, 'they all ended together');
    });

    it('lets a client that comes back miss nothing', async () => {
      const server = await start({ maxAge: 100 });
      let lastEventId = '';
      const got: string[] = [];
      let published = 0;
      while (published < 60) {
        const stream = await Stream.open(`${server.url}?connectKey=a&lastEventId=${lastEventId}`);
        while (!stream.ended) await server.sse.publish('a', String(published++));
        got.push(...stream.data);
        lastEventId = stream.lastEventId;
      }
      const last = await Stream.open(`${server.url}?connectKey=a&lastEventId=${lastEventId}`);
      await server.sse.publish('a', 'end');
      await last.until(({ data }) => data.includes('end'));
      got.push(...last.data);
      assert.deepEqual(got, [...Array.from({ length: published }, (_, i) => String(i)), 'end']);
      last.close();
    });
  });

  describe('pings', () => {
    it('go to quiet connections only', async () => {
      const server = await start({ pingInterval: 300 });
      const [quiet, busy] = [
        await Stream.open(`${server.url}?connectKey=q`),
        await Stream.open(`${server.url}?connectKey=b`),
      ];
      let published = 0;
      while (quiet.comments.length < 3) {
        await server.sse.publish('b', String(published++));
        await busy.untilMessages(published);
      }
      assert.ok(quiet.comments.every((comment) => comment === 'ping'));
      assert.equal(quiet.messages.length, 0);
      assert.deepEqual(busy.comments, []);
      quiet.close();
      busy.close();
    });

    it('can be switched off', async () => {
      const server = await start({ pingInterval: 0, maxAge: 500 });
      const stream = await (await Stream.open(server.url)).untilEnd();
      assert.deepEqual(stream.comments, []);
    });
  });

  describe('shutdown', () => {
    it('ends 1,000 open streams, each told when to come back, spread, and takes no more', async () => {
      const server = await startPlain({ retry: 100 });
      const streams: Stream[] = [];
      for (let i = 0; i < 20; i++) {
        streams.push(...(await Promise.all(Array.from({ length: 50 }, () => Stream.open(server.url)))));
      }
      await streams.at(-1)!.until(({ events }) => events.length > 0);
      const stopped = server.sse.stop();
      // A 503 would send a browser away for good.
      const late = await (await Stream.open(server.url)).untilEnd();
      assert.deepEqual([late.status, late.own('busy').length, late.own('hello').length], [200, 1, 0]);
      await stopped;
      for (const stream of streams) {
        await stream.untilEnd();
        assert.deepEqual(
          stream.own('bye').map(({ data }) => JSON.parse(data) as unknown),
          [{ reason: 'shutdown' }],
        );
      }
      const retries = streams.map((stream) => stream.retries.at(-1)!);
      assert.ok(Math.min(...retries) >= 100 && Math.max(...retries) <= 1_100);
      assert.ok(new Set(retries).size > 300, 'they would all come back together');
      await server.close();
    });

    it('does not wait for a client that does not read', async () => {
      const server = await startPlain({ maxUnsentBytes: 5_000_000 });
      const stream = await Stream.open(`${server.url}?connectKey=a`);
      stream.pause();
      await publishMany(server, 'a', 30, 1_000_000);
      const start = performance.now();
      await server.sse.stop();
      assert.ok(performance.now() - start < 4_500);
      assert.equal(server.sse.countAll(), 0);
      stream.close();
      await server.close();
    });

    it('is safe to call twice', async () => {
      const server = await startPlain();
      const stream = await Stream.open(server.url);
      await Promise.all([server.sse.stop(), server.sse.stop()]);
      await stream.untilEnd();
      await server.close();
    });
  });

  describe('connects and drops', () => {
    it('leave nothing behind: 10,000 of them, each with a key of its own', async () => {
      const server = await start();
      const round = async (first: number): Promise<void> => {
        for (let i = 0; i < 1_000; i += 50) {
          const streams = await Promise.all(
            Array.from({ length: 50 }, (_, j) =>
              Stream.open(`${server.url}?connectKey=all&connectKey=k${first + i + j}`),
            ),
          );
          for (const stream of streams) stream.close();
        }
        await eventually(() => server.sse.countAll() === 0);
      };
      setFlagsFromString('--expose-gc');
      const collectGarbage = runInNewContext('gc') as () => void;
      const heap = (): number => {
        collectGarbage();
        return process.memoryUsage().heapUsed;
      };
      await round(0);
      const before = heap();
      for (let i = 1; i <= 9; i++) await round(i * 1_000);
      const after = heap();
      const { connections, pools } = server.sse.stats;
      assert.deepEqual([connections, pools], [0, 0]);
      assert.ok(after - before < 3_000_000, `${after - before} bytes stayed`);
    });
  });
});
