import assert from 'node:assert/strict';
import type { Gap } from '../../../lib/log/gaps';
import { eventually } from '../../support/eventually';
import { Proxy } from '../../support/proxy';
import { RedisHost, type RedisHostOptions } from '../../support/redis_host';
import { describeWithRedis, RedisServer } from '../../support/redis_server';
import type { Stream } from '../../support/stream';

const ORDER = '{egg-sse:test}:order';

/** Publishes to `a` unless another key is named, one after the other; returns the ids. */
async function publish(host: RedisHost, texts: readonly string[], key = 'a'): Promise<string[]> {
  const ids: string[] = [];
  for (const text of texts) ids.push((await host.sse.publish(key, text, { reach: 'everywhere' })).id);
  return ids;
}

function gapsOf(stream: Stream): Gap[] {
  return stream.own('gap').map(({ data }) => JSON.parse(data) as Gap);
}

/** The reasons of a stream's gaps, without those of `publishAll`. */
function reasonsOf(stream: Stream, key = 'a'): string[] {
  return gapsOf(stream)
    .filter(({ keys }) => keys.includes(key))
    .map(({ reason }) => reason);
}

/** Resolves when all of a host's streams have what was published until now. */
async function reach(host: RedisHost, streams: readonly Stream[], end = 'end'): Promise<void> {
  await host.sse.publishAll({ event: end, data: '' }, { reach: 'everywhere' });
  await Promise.all(streams.map((stream) => stream.until(({ events }) => events.some(({ event }) => event === end))));
}

/** What a stream got, but for what ends a test. */
function dataOf(stream: Stream): string[] {
  return stream.messages.filter(({ event }) => event === undefined).map(({ data }) => data);
}

describeWithRedis('what Redis loses', () => {
  const closing: (() => Promise<unknown>)[] = [];

  afterEach(async () => {
    for (const close of closing.splice(0).toReversed()) await close();
  });

  async function startRedis(args: readonly string[] = []): Promise<RedisServer> {
    const server = await RedisServer.start(args);
    closing.push(() => server.stop());
    return server;
  }

  async function startHost(server: RedisServer, options?: RedisHostOptions): Promise<RedisHost> {
    const host = await RedisHost.start(server.port, options);
    closing.push(() => host.stop());
    return host;
  }

  describe('when Redis dies with nothing on disk', () => {
    it('nobody who has everything is told of a gap, and all go on', async () => {
      const server = await startRedis();
      const [a, b] = [await startHost(server), await startHost(server)];
      const streams = [await a.open(['a']), await b.open(['a']), await b.open(['b'])];
      const [first] = await publish(a, ['1', '2', '3']);
      await Promise.all(streams.slice(0, 2).map((stream) => stream.untilMessages(3)));
      await server.kill();
      await server.restart();
      await publish(b, ['4']);
      await publish(a, ['5']);
      await reach(a, streams);
      assert.deepEqual(streams.map(dataOf), [['1', '2', '3', '4', '5'], ['1', '2', '3', '4', '5'], []]);
      assert.deepEqual(streams.map(gapsOf), [[], [], []]);
      for (const host of [a, b]) {
        const back = await host.open(['a'], first);
        await reach(host, [back], 'again');
        assert.deepEqual(dataOf(back), ['2', '3', '4', '5']);
        assert.deepEqual(gapsOf(back), []);
      }
    });

    it('a worker that starts then tells those who missed something, and nobody else', async () => {
      const server = await startRedis();
      const a = await startHost(server);
      const [first, , third] = await publish(a, ['1', '2', '3']);
      await server.kill();
      await server.restart();
      const [fourth] = await publish(a, ['4']);
      const fresh = await startHost(server);
      const [behind, complete, newer] = [
        await fresh.open(['a'], first),
        await fresh.open(['a'], third),
        await fresh.open(['a'], fourth),
      ];
      await reach(fresh, [behind, complete, newer]);
      assert.deepEqual(reasonsOf(behind), ['lost']);
      assert.deepEqual(gapsOf(complete), []);
      assert.deepEqual(gapsOf(newer), []);
      assert.deepEqual([dataOf(behind), dataOf(complete), dataOf(newer)], [['4'], ['4'], []]);
    });

    it('a worker that starts when no other lives tells that the order has ended', async () => {
      const server = await startRedis();
      const a = await startHost(server);
      const [first] = await publish(a, ['1', '2']);
      await a.stop();
      closing.pop();
      await server.kill();
      await server.restart();
      const fresh = await startHost(server);
      const back = await fresh.open(['a'], first);
      await reach(fresh, [back]);
      assert.deepEqual(reasonsOf(back), ['restarted']);
    });
  });

  describe('when Redis is emptied by FLUSHALL', () => {
    it('while nothing is published, nobody is told of a gap, and all go on', async () => {
      const server = await startRedis();
      const [a, b] = [await startHost(server), await startHost(server)];
      const streams = [await a.open(['a']), await b.open(['a'])];
      const [first] = await publish(a, ['1', '2', '3']);
      await Promise.all(streams.map((stream) => stream.untilMessages(3)));
      await server.admin.flushall();
      await publish(b, ['4']);
      await publish(a, ['5']);
      await reach(a, streams);
      assert.deepEqual(streams.map(dataOf), [
        ['1', '2', '3', '4', '5'],
        ['1', '2', '3', '4', '5'],
      ]);
      assert.deepEqual(streams.map(gapsOf), [[], []]);
      const back = await b.open(['a'], first);
      await reach(b, [back], 'again');
      assert.deepEqual(dataOf(back), ['2', '3', '4', '5']);
      assert.deepEqual(gapsOf(back), []);
    });

    it('in the middle of publishing, every client has every message once, or is told', async () => {
      const server = await startRedis();
      const hosts = [await startHost(server), await startHost(server)];
      const streams = await Promise.all(hosts.map((host) => host.open(['a'])));
      for (let round = 0; round < 5; round++) {
        const published = hosts.map((host, h) =>
          Promise.all(Array.from({ length: 300 }, (_, i) => host.sse.publish('a', `${round}.${h}.${i}`))),
        );
        await streams[round % 2]!.until(({ messages }) => messages.length >= round * 600 + 100);
        await server.admin.flushall();
        await Promise.all(published);
        await reach(hosts[0]!, streams, `end${round}`);
      }
      for (const stream of streams) {
        const got = dataOf(stream);
        assert.equal(got.length, new Set(got).size, 'something came twice');
        // Whoever is told may still get it: a publisher sends again what it has not heard back itself.
        assert.ok(got.length === 3_000 || gapsOf(stream).length > 0, `${got.length} of 3000, in silence`);
      }
    });
  });

  describe('when somebody trims the stream in Redis', () => {
    it('a host that was away is told, one that has everything is not', async () => {
      const server = await startRedis();
      const [a, b] = [await startHost(server), await startHost(server)];
      const streams = [await a.open(['a']), await b.open(['a'])];
      await publish(a, ['0']);
      await Promise.all(streams.map((stream) => stream.untilMessages(1)));
      b.link.cut();
      await eventually(() => b.logged.length > 0, 'the cut is noticed');
      await publish(a, ['1', '2', '3', '4', '5']);
      await server.admin.xtrim(ORDER, 'MAXLEN', 2);
      b.link.mend();
      await reach(a, streams);
      assert.deepEqual(dataOf(streams[1]!), ['0', '4', '5']);
      assert.deepEqual(reasonsOf(streams[1]!), ['lost']);
      assert.deepEqual(gapsOf(streams[0]!), []);
      assert.deepEqual(dataOf(streams[0]!), ['0', '1', '2', '3', '4', '5']);
    });

    it('a key that had lost something before is no exception', async () => {
      const server = await startRedis();
      const [a, b] = [await startHost(server, { count: 5 }), await startHost(server, { count: 5 })];
      const stream = await b.open(['a']);
      b.link.cut();
      await eventually(() => b.logged.length > 0, 'the cut is noticed');
      const [first] = await publish(a, ['1']);
      await publish(a, ['2', '3', '4', '5', '6'], 'b');
      await publish(a, ['7', '8']);
      await server.admin.xtrim(ORDER, 'MAXLEN', 0);
      const [id] = await publish(a, ['9'], 'b');
      b.link.mend();
      await reach(a, [stream]);
      assert.deepEqual([dataOf(stream), reasonsOf(stream)], [[], ['lost']]);
      for (const host of [b, await startHost(server, { count: 5 })]) {
        for (const [last, reasons] of [
          [first, ['lost']],
          [id, []],
        ] as const) {
          const back = await host.open(['a'], last);
          await reach(a, [back], 'again');
          assert.deepEqual([dataOf(back), reasonsOf(back)], [[], reasons]);
          back.close();
        }
      }
    });

    it('a host that is slow is told even if nothing more is published, and opens streams meanwhile', async () => {
      const server = await startRedis();
      const [a, b] = [await startHost(server), await startHost(server, { times: { beat: 100, answer: 200 } })];
      const stream = await b.open(['a']);
      b.link.delay = 100;
      await publish(a, ['1']);
      await stream.untilMessages(1);
      // It reads '2' and asks for what follows while that is trimmed.
      const ids = await publish(a, ['2', '3', '4']);
      await server.admin.xtrim(ORDER, 'MAXLEN', 0);
      await b.open(['a'], ids.at(-1));
      b.link.delay = 0;
      await stream.until(() => gapsOf(stream).length > 0 || dataOf(stream).length === 4);
      assert.equal(reasonsOf(stream).length, dataOf(stream).length < 4 ? 1 : 0);
    });

    for (const [how, trim] of [
      ['trimmed', (server: RedisServer) => server.admin.xtrim(ORDER, 'MAXLEN', 2)],
      ['deleted', (server: RedisServer) => server.admin.del(ORDER)],
    ] as const) {
      it(`a worker that starts tells those who missed something, and nobody else: ${how}`, async () => {
        const server = await startRedis();
        const a = await startHost(server);
        const stream = await a.open(['a']);
        const [first, , third, , fifth] = await publish(a, ['1', '2', '3', '4', '5']);
        await trim(server);
        const fresh = await startHost(server);
        const kept = how === 'trimmed' ? ['4', '5'] : [];
        for (const [id, reasons, got] of [
          [first, ['lost'], kept],
          [third, how === 'trimmed' ? [] : ['lost'], kept],
          [fifth, [], []],
        ] as const) {
          const back = await fresh.open(['a'], id);
          await reach(fresh, [back]);
          assert.deepEqual(reasonsOf(back), reasons);
          assert.deepEqual(dataOf(back), got);
          back.close();
        }
        await publish(a, ['6']);
        await stream.until(() => dataOf(stream).includes('6'));
        assert.deepEqual(dataOf(stream), ['1', '2', '3', '4', '5', '6']);
        assert.deepEqual(gapsOf(stream), []);
      });
    }
  });

  describe('when a replica takes over that lacks the newest messages', () => {
    for (const firstBack of ['who has heard them', 'who has not']) {
      it(`those who have not heard them are told, those who have are not; first back: ${firstBack}`, async () => {
        // Otherwise it waits for more replicas before it sends anything to one.
        const master = await startRedis(['--repl-diskless-sync-delay', '0']);
        const replication = await Proxy.start(master.port);
        closing.push(() => replication.stop());
        const replica = await startRedis(['--replicaof', `127.0.0.1 ${replication.options.port}`]);
        const [a, b] = [await startHost(master), await startHost(master)];
        const streams = [await a.open(['a']), await b.open(['a']), await b.open(['b'])];
        const [, second] = await publish(a, ['1', '2']);
        await eventually(async () => (await replica.admin.xlen(ORDER)) === 2, 'the replica has them');
        await Promise.all(streams.slice(0, 2).map((stream) => stream.untilMessages(2)));
        replication.cut();
        b.link.cut();
        await eventually(() => b.logged.length > 0, 'the cut is noticed');
        const [, tail] = await publish(a, ['3', '4']);
        a.link.cut();
        await replica.admin.replicaof('NO', 'ONE');
        await master.kill();
        const hosts = firstBack === 'who has heard them' ? [a, b] : [b, a];
        for (const host of hosts) {
          host.link.target = replica.port;
          host.link.mend();
          // The stream of a host that is out of sight gets nothing.
          await host.sse.publish('none', '');
        }
        await publish(b, ['5']);
        await publish(a, ['6']);
        await reach(a, streams);
        assert.deepEqual(dataOf(streams[0]!), ['1', '2', '3', '4', '5', '6']);
        assert.deepEqual(dataOf(streams[1]!), ['1', '2', '5', '6']);
        assert.deepEqual(
          streams.map((stream) => reasonsOf(stream)),
          [[], ['lost'], []],
        );
        assert.deepEqual(gapsOf(streams[2]!), []);
        // Whoever has the tail is told of nothing where it is missing, and finds what follows.
        const moved = await b.open(['a'], tail);
        // Who lacks it finds it where it is.
        const found = await a.open(['a'], second);
        await reach(a, [moved, found], 'again');
        assert.deepEqual([dataOf(moved), gapsOf(moved)], [['5', '6'], []]);
        assert.deepEqual([dataOf(found), gapsOf(found)], [['3', '4', '5', '6'], []]);
        const fresh = await startHost(replica);
        const [lacking, having] = [await fresh.open(['a'], second), await fresh.open(['a'], tail)];
        await reach(a, [lacking, having], 'anew');
        assert.deepEqual([dataOf(lacking), reasonsOf(lacking)], [['5', '6'], ['lost']]);
        assert.deepEqual([dataOf(having), gapsOf(having)], [['5', '6'], []]);
      });
    }
  });

  describe('what Redis lets go of for being too much', () => {
    it('is told by a worker that starts to those who missed it, and to nobody else', async () => {
      const server = await startRedis();
      const a = await startHost(server, { count: 10 });
      const [a1, a2] = await publish(a, ['a1', 'a2'], 'a');
      const [b1, b2] = await publish(a, ['b1', 'b2'], 'b');
      await publish(
        a,
        Array.from({ length: 8 }, (_, i) => `c${i}`),
        'c',
      );
      const fresh = await startHost(server, { count: 10 });
      for (const [key, id, reasons, got] of [
        ['a', a1, ['evicted'], []],
        ['a', a2, [], []],
        ['b', a1, [], ['b1', 'b2']],
        ['b', b1, [], ['b2']],
        ['b', b2, [], []],
        ['c', a1, [], Array.from({ length: 8 }, (_, i) => `c${i}`)],
        ['none', a1, [], []],
      ] as const) {
        const back = await fresh.open([key], id);
        await back.until(() => dataOf(back).length >= got.length);
        assert.deepEqual([reasonsOf(back, key), dataOf(back)], [reasons, got], `${key} after ${id}`);
      }
    });
  });

  describe('what is for one host', () => {
    it('is its clients’ alone, also when they come back and when it is lost', async () => {
      const server = await startRedis();
      const [a, other, b] = [
        await startHost(server, { name: 'one', count: 10 }),
        await startHost(server, { name: 'one', count: 10 }),
        await startHost(server, { name: 'two', count: 10 }),
      ];
      const streams = await Promise.all([a, other, b].map((host) => host.open(['a'])));
      const [first] = await publish(a, ['all']);
      await a.sse.publish('a', 'host', { reach: 'host' });
      await reach(b, streams);
      assert.deepEqual(streams.map(dataOf), [['all', 'host'], ['all', 'host'], ['all']]);
      for (const [host, name, got] of [
        [other, 'one', ['host']],
        [b, 'two', []],
      ] as const) {
        const fresh = await startHost(server, { name, count: 10 });
        for (const each of [host, fresh]) {
          const back = await each.open(['a'], first);
          await reach(b, [back], 'again');
          assert.deepEqual([dataOf(back), gapsOf(back)], [got, []]);
        }
      }
      await publish(
        a,
        Array.from({ length: 10 }, (_, i) => String(i)),
        'b',
      );
      for (const [name, reasons] of [
        ['one', ['evicted']],
        ['two', []],
      ] as const) {
        const fresh = await startHost(server, { name, count: 10 });
        const back = await fresh.open(['a'], first);
        await reach(b, [back], 'late');
        assert.deepEqual([reasonsOf(back), dataOf(back)], [reasons, []], name);
      }
    });
  });

  describe('while a host does not reach Redis', () => {
    it('it starts all the same, and its streams get what they missed once', async () => {
      const server = await startRedis();
      const a = await startHost(server);
      const [first] = await publish(a, ['1', '2']);
      const began = performance.now();
      const late = await startHost(server, { isCut: true, times: { start: 200 } });
      assert.ok(performance.now() - began < 5_000, 'it waited for Redis');
      const [anew, back] = [await late.open(['a']), await late.open(['a'], first)];
      await publish(a, ['3']);
      late.link.mend();
      await late.sse.publish('a', '4', { reach: 'everywhere' });
      await reach(a, [anew, back]);
      assert.deepEqual(dataOf(back), ['2', '3', '4']);
      assert.deepEqual(gapsOf(back), []);
      assert.equal(dataOf(anew).at(-1), '4');
      const again = await late.open(['a'], back.lastEventId);
      await reach(a, [again], 'again');
      assert.deepEqual([dataOf(again), gapsOf(again)], [[], []]);
    });

    it('a client that heard more elsewhere loses nothing, gets nothing twice, and is told of no gap', async () => {
      const server = await startRedis();
      const [a, b] = [await startHost(server), await startHost(server)];
      const before = await a.open(['a']);
      await publish(b, ['1']);
      await before.untilMessages(1);
      before.close();
      a.link.cut();
      await eventually(() => a.logged.length > 0, 'the cut is noticed');
      const [second] = await publish(b, ['2', '3']);
      const back = await a.open(['a'], second);
      await publish(b, ['4']);
      a.link.mend();
      await reach(a, [back]);
      assert.deepEqual([dataOf(back), gapsOf(back)], [['3', '4'], []]);
    });

    it('and does not know it yet, such a client waits for what it lacks', async () => {
      const server = await startRedis();
      const [a, b] = [await startHost(server), await startHost(server)];
      await publish(b, ['1']);
      a.link.delay = 300;
      const [second] = await publish(b, ['2', '3']);
      const back = await a.open(['a'], second);
      await publish(b, ['4']);
      await reach(b, [back]);
      assert.deepEqual([dataOf(back), gapsOf(back)], [['3', '4'], []]);
    });

    it('and the link is slower than anyone waits, such a client gets what it lacks later, and nothing twice', async () => {
      const server = await startRedis();
      const [a, b] = [await startHost(server, { times: { answer: 50 } }), await startHost(server)];
      const before = await a.open(['a']);
      await publish(b, ['1']);
      await before.untilMessages(1);
      a.link.delay = 300;
      const [, third] = await publish(b, ['2', '3', '4']);
      const back = await a.open(['a'], third);
      a.link.delay = 0;
      await reach(b, [back]);
      assert.deepEqual([dataOf(back), gapsOf(back)], [['4'], []]);
    });

    it('what Redis took but did not acknowledge is there once', async () => {
      const server = await startRedis();
      const [a, b] = [await startHost(server), await startHost(server)];
      const streams = [await a.open(['a']), await b.open(['a'])];
      await publish(a, ['0']);
      a.link.losesAnswers = true;
      const published = Promise.all(['1', '2', '3'].map((text) => a.sse.publish('a', text, { reach: 'everywhere' })));
      await streams[1]!.until(() => dataOf(streams[1]!).includes('3'));
      await eventually(() => a.link.lostBytes > 0, 'an answer got lost');
      a.link.drop();
      a.link.losesAnswers = false;
      const receipts = await published;
      await reach(b, streams);
      assert.deepEqual(streams.map(dataOf), [
        ['0', '1', '2', '3'],
        ['0', '1', '2', '3'],
      ]);
      assert.deepEqual(
        streams[0]!.messages.slice(1, 4).map(({ id }) => id),
        receipts.map(({ id }) => id),
      );
      assert.deepEqual(streams.map(gapsOf), [[], []]);
    });

    it('what it publishes waits, and goes out in order', async () => {
      const server = await startRedis();
      const [a, b] = [await startHost(server), await startHost(server)];
      const stream = await b.open(['a']);
      a.link.cut();
      await eventually(() => a.logged.length > 0, 'the cut is noticed');
      const texts = Array.from({ length: 1_000 }, (_, i) => String(i));
      const published = Promise.all(texts.map((text) => a.sse.publish('a', text, { reach: 'everywhere' })));
      await publish(b, ['meanwhile']);
      a.link.mend();
      await published;
      await stream.untilMessages(1_001);
      assert.deepEqual(dataOf(stream), ['meanwhile', ...texts]);
    });

    it('what has waited for too long fails, and so does what would take too much memory', async () => {
      const server = await startRedis();
      const a = await startHost(server, { times: { publish: 500 } });
      const stream = await a.open(['a']);
      a.link.cut();
      await eventually(() => a.logged.length > 0, 'the cut is noticed');
      const large = 'x'.repeat(1024 * 1024);
      const publishes = Array.from({ length: 40 }, () => a.sse.publish('a', large, { reach: 'everywhere' }));
      const outcomes = await Promise.allSettled(publishes);
      const codes = outcomes.map((outcome) =>
        outcome.status === 'rejected' ? (outcome.reason as { code: string }).code : '',
      );
      const waited = codes.indexOf('ERR_SSE_OUTBOX_FULL');
      assert.ok(waited > 20 && waited < 33, `${waited} of 1 MB waited`);
      assert.ok(codes.slice(0, waited).every((code) => code === 'ERR_SSE_UNAVAILABLE'));
      assert.ok(codes.slice(waited).every((code) => code === 'ERR_SSE_OUTBOX_FULL'));
      a.link.mend();
      await eventually(() => a.logged.length === 2, 'the host is back');
      // What failed is gone from the outbox.
      await publish(a, ['after']);
      await reach(a, [stream]);
      assert.deepEqual(dataOf(stream), ['after']);
    });

    it('it tries again less and less often, says so once, and costs next to nothing', async () => {
      const server = await startRedis();
      const a = await startHost(server);
      await publish(a, ['1']);
      const began = performance.now();
      const cpu = process.cpuUsage();
      a.link.cut();
      // The first six sessions, of two connections each, are 50, 100, 200, 400 and 800 ms apart at least.
      await eventually(() => a.link.refused >= 12, 'it has tried six times');
      const ms = performance.now() - began;
      const { user, system } = process.cpuUsage(cpu);
      assert.ok(ms > 1_550, `six attempts in ${ms} ms`);
      assert.ok((user + system) / 1_000 < ms / 2, `${(user + system) / 1_000} ms of CPU in ${ms} ms`);
      a.link.mend();
      await publish(a, ['2']);
      assert.equal(a.logged.length, 2, a.logged.join('\n'));
      assert.match(a.logged[0]!, /Redis is away/);
      assert.match(a.logged[1]!, /Redis is back/);
    });
  });

  describe('when Redis has no memory left', () => {
    it('publishes wait until it has, and what is too old is let go of meanwhile', async () => {
      const server = await startRedis(['--maxmemory-policy', 'noeviction']);
      const a = await startHost(server, { count: 100, times: { beat: 50, refused: 50 } });
      const stream = await a.open(['a']);
      await publish(
        a,
        Array.from({ length: 100 }, (_, i) => String(i)),
      );
      // Another one of this order, of a smaller history, lets go of most.
      await server.admin.config('SET', 'maxmemory', 1);
      const published = publish(a, ['waits']);
      await eventually(() => a.logged.some((line) => line.includes('OOM')), 'a publish was refused');
      const small = await startHost(server, { count: 10, times: { beat: 50, refused: 50, start: 1_000 } });
      await eventually(async () => (await server.admin.xlen(ORDER)) <= 10, 'most is let go of');
      await server.admin.config('SET', 'maxmemory', 0);
      await published;
      await reach(small, [stream]);
      assert.deepEqual(dataOf(stream).slice(-2), ['99', 'waits']);
      assert.equal(a.logged.length, 2, a.logged.join('\n'));
    });
  });
});
