import assert from 'node:assert/strict';
import { RedisLease, type RedisLeaseTimes } from '../../../lib/bridge/schedule/redis_lease';
import type { Offer } from '../../../lib/bridge/schedule/lease';
import { RedisBroker } from '../../../lib/broker/redis/redis_broker';
import { readRedisConfig } from '../../../lib/redis/settings';
import { eventually } from '../../support/eventually';
import { Member } from '../../support/member';
import { RedisServer } from '../../support/redis_server';

const PRICES = '/srv/app/schedule/prices.js';

/** A host's agent, and what all that is published is delivered to. */
interface Host {
  readonly lease: RedisLease;
  readonly broker: RedisBroker;
  readonly delivered: readonly string[];
  readonly logged: string[];
  /** It dies: says nothing any more, and lets go of nothing. */
  die(): Promise<void>;
}

describe('a schedule of several hosts with one Redis', () => {
  let redis: RedisServer;
  const closing: (() => Promise<void>)[] = [];
  beforeEach(async () => void (redis = await RedisServer.start()));
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
    await redis.stop();
  });

  const startHost = async (
    options: { times?: Partial<RedisLeaseTimes>; baseDir?: string; redis?: object } = {},
  ): Promise<Host> => {
    const logged: string[] = [];
    const log = (message: string | Error): void => void logged.push(String(message));
    const settings = readRedisConfig({ ...redis.options, ...options.redis }, { baseDir: __dirname });
    const broker = new RedisBroker(settings, {
      app: 'test',
      host: String(closing.length),
      serves: true,
      bounds: { count: 1_000, age: 60_000 },
      logger: { info: () => undefined, warn: () => undefined, error: () => undefined },
    });
    const member = new Member(broker);
    await member.start();
    const lease = new RedisLease(broker, {
      baseDir: options.baseDir ?? '/srv',
      logger: { info: log, warn: log },
      times: { kept: 1_000, renew: 50, ...options.times },
    });
    lease.start();
    const stop = async (): Promise<void> => {
      await lease.stop();
      await broker.stop();
    };
    closing.push(stop);
    return {
      lease,
      broker,
      delivered: member.delivered,
      logged,
      async die() {
        await broker.stop();
        await lease.stop();
      },
    };
  };

  const offer = (run: number, data: string, more: Partial<Offer> = {}): Offer => ({
    name: PRICES,
    run,
    digest: '',
    target: { key: 'a' },
    data,
    ...more,
  });

  /** What a host has been delivered, when all that was published until now is there. */
  const heard = async (host: Host): Promise<string[]> => {
    await host.broker.publish({ keys: ['a'], body: 'data: end\n' }, 'everywhere');
    return host.delivered.filter((body) => body !== 'data: end\n' && body !== '').map((body) => body.slice(6, -1));
  };

  it('is run by the host that ticks first, as long as it lives', async () => {
    const [a, b] = [await startHost(), await startHost()];
    const runs: number[] = [];
    for (let i = 0; i < 2; i++) {
      runs.push((await a.lease.begin(PRICES))!);
      // It looks again after the time in which a dead host would have lost it.
      assert.equal(await b.lease.begin(PRICES), undefined);
    }
    assert.deepEqual(
      runs,
      [...new Set(runs)].sort((x, y) => x - y),
    );
    assert.deepEqual([...a.logged, ...b.logged], []);
  });

  it('is another one than another schedule, and the same in another folder', async () => {
    const [a, b] = [await startHost(), await startHost({ baseDir: '/opt/x' })];
    assert.notEqual(await a.lease.begin(PRICES), undefined);
    assert.equal(await b.lease.begin('/opt/x/app/schedule/prices.js'), undefined);
    assert.notEqual(await b.lease.begin('/opt/x/app/schedule/news.js'), undefined);
  });

  it('is taken over by the tick that finds its host dead', async () => {
    const [a, b] = [await startHost(), await startHost()];
    const before = await a.lease.begin(PRICES);
    await a.die();
    assert.ok((await b.lease.begin(PRICES))! > before!);
  });

  it('is run once by several ticks that find its host dead', async () => {
    const [a, b, c] = [await startHost(), await startHost(), await startHost()];
    await a.lease.begin(PRICES);
    await a.die();
    const ticks = [b, b, b, c, c].map(({ lease }) => lease.begin(PRICES));
    assert.equal((await Promise.all(ticks)).filter((run) => run !== undefined).length, 1);
  });

  it('is given back by a host that stops', async () => {
    const [a, b] = [await startHost({ times: { kept: 60_000 } }), await startHost({ times: { kept: 60_000 } })];
    await a.lease.begin(PRICES);
    const waits = b.lease.begin(PRICES);
    await a.lease.stop();
    assert.notEqual(await b.lease.begin(PRICES), undefined);
    await b.lease.stop();
    assert.equal(await waits, undefined);
    assert.equal(await b.lease.begin(PRICES), undefined);
  });

  it('is let go of by a host whose agent lives, but whose schedule ticks no more', async () => {
    const [a, b] = [await startHost(), await startHost()];
    await a.lease.begin(PRICES);
    await a.lease.begin(PRICES);
    await eventually(async () => (await b.lease.begin(PRICES)) !== undefined, 'the other host runs it');
  });

  it('comes to the clients of every host once for each change, whoever loads it', async () => {
    const [a, b] = [await startHost(), await startHost()];
    for (const [host, data] of [
      [a, '1'],
      [b, '1'],
      [a, '2'],
      [b, '2'],
      [b, '1'],
    ] as const) {
      await host.lease.publish(offer(await nextRun(host), data));
    }
    assert.deepEqual(await heard(a), ['1', '2', '1']);
    assert.deepEqual(await heard(b), ['1', '2', '1']);
    const length = await redis.admin.xlen('{egg-sse:test}:order');
    assert.equal(length, 5, 'what is no news has no place in the order');
  });

  it('comes again for another event or other keys', async () => {
    const a = await startHost();
    await a.lease.publish(offer(1, 'x'));
    await a.lease.publish(offer(2, 'x', { target: { key: ['a', 'b', 'a'] } }));
    await a.lease.publish(offer(3, 'x', { target: { all: true } }));
    await a.lease.publish(offer(4, 'x', { event: 'e' }));
    assert.deepEqual(await heard(a), ['x', 'x', 'x', ' e\ndata: x']);
  });

  it('never publishes an older result after a newer one, not even one that was on its way', async () => {
    const [a, b] = [await startHost(), await startHost()];
    const older = await nextRun(a);
    const newer = await nextRun(b);
    await b.lease.publish(offer(newer, 'new'));
    await a.lease.publish(offer(older, 'old'));
    // As of a host that was stopped between looking and publishing.
    const fence = { name: 'app/schedule/prices.js', run: older, digest: 'x' };
    await a.broker.publish({ keys: ['a'], body: 'data: old\n', fence }, 'everywhere');
    // A newer run that finds nothing new makes an older one old, too.
    const [slow, quick] = [await nextRun(a), await nextRun(b)];
    await b.lease.publish(offer(quick, 'new'));
    await a.lease.publish(offer(slow, 'old'));
    assert.deepEqual(await heard(a), ['new']);
    assert.deepEqual(await heard(b), ['new']);
  });

  it('goes on with higher numbers when Redis has lost everything', async () => {
    const a = await startHost();
    const before = await nextRun(a);
    await redis.admin.flushall();
    assert.ok((await nextRun(a)) > before);
  });

  it('does not run while Redis is away, which is said once, and runs again when it is back', async () => {
    const a = await startHost();
    await a.lease.begin(PRICES);
    await redis.kill();
    await eventually(async () => (await a.lease.begin(PRICES)) === undefined);
    for (let i = 0; i < 3; i++) assert.equal(await a.lease.begin(PRICES), undefined);
    assert.equal(a.logged.length, 1);
    assert.match(a.logged[0]!, /^what sseSchedule made does not run until Redis is back: /);
    await redis.restart();
    await eventually(async () => (await a.lease.begin(PRICES)) !== undefined, 'it runs again');
    assert.deepEqual(a.logged.slice(1), ['what sseSchedule made runs again']);
  });

  it('is published when Redis is back, if that went away while it was loading', async () => {
    const a = await startHost();
    const run = await nextRun(a);
    await redis.kill();
    const published = a.lease.publish(offer(run, 'x'));
    await redis.restart();
    await published;
    assert.deepEqual(await heard(a), ['x']);
  });

  it('works with a keyPrefix', async () => {
    const a = await startHost({ redis: { keyPrefix: 'mine:' } });
    await a.lease.publish(offer(await nextRun(a), 'x'));
    const keys = await redis.admin.keys('*');
    assert.deepEqual(
      keys.filter((key) => !key.startsWith('mine:{egg-sse:test}:')),
      [],
    );
    assert.ok(keys.includes('mine:{egg-sse:test}:lease:app/schedule/prices.js'));
  });

  /** Lets a host begin a run, whoever had the schedule. */
  async function nextRun(host: Host): Promise<number> {
    await redis.admin.eval(`for _, key in ipairs(redis.call('KEYS', '*lease:*')) do redis.call('DEL', key) end`, 0);
    return (await host.lease.begin(PRICES))!;
  }
});
