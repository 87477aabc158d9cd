import assert from 'node:assert/strict';
import { RedisBroker, type RedisTimes } from '../../../lib/broker/redis/redis_broker';
import { readRedisConfig } from '../../../lib/redis/settings';
import { eventually } from '../../support/eventually';
import { Member } from '../../support/member';
import { optionsWith } from '../../support/plain';
import { describeWithRedis, RedisServer } from '../../support/redis_server';
import { contract, type Range } from '../contract';

/** Workers of one or more hosts that share a Redis. */
class RedisRange implements Range {
  readonly server: RedisServer;
  readonly members: Member[] = [];
  readonly logged: string[] = [];

  constructor(server: RedisServer) {
    this.server = server;
  }

  async join(
    overrides: ConstructorParameters<typeof Member>[1] = {},
    options: { host?: string; serves?: boolean; times?: Partial<RedisTimes>; count?: number; redis?: object } = {},
  ): Promise<Member> {
    const { host = 'a', serves = true, times = {}, count = 100_000, redis = {} } = options;
    const log = (message: string | Error): void => void this.logged.push(String(message));
    const broker = new RedisBroker(readRedisConfig({ ...this.server.options, ...redis }, { baseDir: __dirname }), {
      app: 'test',
      host,
      serves,
      bounds: { count, age: 60_000 },
      mailbox: optionsWith(overrides).mailbox,
      logger: { info: log, warn: log, error: log },
      times,
    });
    const member = new Member(broker, overrides);
    this.members.push(member);
    await member.start();
    return member;
  }

  async close(): Promise<void> {
    await Promise.all(this.members.map(({ broker }) => broker.stop()));
    await this.server.stop();
  }
}

describeWithRedis('an order in Redis', () => {
  contract('the Redis broker', async () => new RedisRange(await RedisServer.start()), { members: 3 });

  describe('a worker that has just joined', () => {
    it('hears a question of the same millisecond', async () => {
      const range = new RedisRange(await RedisServer.start());
      try {
        const first = await range.join();
        for (let i = 0; i < 50; i++) {
          const { broker } = await range.join();
          assert.deepEqual(await first.broker.ask({ count: 'a' }, 'everywhere'), { answers: [0, 0], complete: true });
          await broker.stop();
        }
      } finally {
        await range.close();
      }
    });
  });

  describe('mail in Redis', () => {
    const mailbox = { keys: ['box:*'], age: 60_000, count: 1_000, bytes: 1e8 };

    /** What a client of a mailbox gets that opens now. */
    const open = ({ readers }: Member, key: string): { texts: string[]; gaps: unknown } => {
      const { reader, gaps } = readers.begin(['@all', key]);
      const { frames } = readers.read(reader, Number.MAX_SAFE_INTEGER);
      return { texts: [...(frames?.toString() ?? '').matchAll(/^data: (.*)$/gm)].map(([, text]) => text!), gaps };
    };

    it('is bounded by what Redis keeps at most, and a worker that starts later tells once of what went', async () => {
      const range = new RedisRange(await RedisServer.start());
      try {
        const publisher = await range.join({ mailbox }, { count: 5 });
        for (let i = 1; i <= 20; i++) await publisher.publish(`data: ${i}\n`, { keys: ['box:a', 'news'] });
        await publisher.publish('data: own\n', { keys: ['box:b'] });
        const { admin } = range.server;
        assert.deepEqual([await admin.xlen('{egg-sse:test}:order'), await admin.xlen('{egg-sse:test}:mail')], [5, 5]);
        const late = await range.join({ mailbox }, { count: 5 });
        assert.deepEqual(open(late, 'box:a'), {
          texts: Array.from({ length: 9 }, (_, i) => String(12 + i)),
          gaps: [{ reason: 'evicted', keys: ['box:a'] }],
        });
        assert.deepEqual(open(late, 'box:b'), { texts: ['own'], gaps: [] });
        await eventually(async () => (await admin.zcard('{egg-sse:test}:waiting')) === 0);
        assert.equal(await admin.zcard('{egg-sse:test}:unread'), 0);
        for (const member of [publisher, await range.join({ mailbox }, { count: 5 })]) {
          for (const key of ['box:a', 'box:b']) assert.deepEqual(open(member, key), { texts: [], gaps: [] });
        }
      } finally {
        await range.close();
      }
    });

    it('waits on in the workers when Redis has lost everything', async () => {
      const range = new RedisRange(await RedisServer.start());
      try {
        const member = await range.join({ mailbox });
        await member.publish('data: 1\n', { keys: ['box:a'] });
        await range.server.kill();
        await range.server.restart();
        await member.publish('data: 2\n', { keys: ['box:a'] });
        assert.deepEqual(open(member, 'box:a'), { texts: ['1', '2'], gaps: [] });
      } finally {
        await range.close();
      }
    });
  });
});
