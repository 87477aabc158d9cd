import { RedisBroker, type RedisTimes } from '../../lib/broker/redis';
import { readRedisConfig } from '../../lib/redis';
import { Member } from '../support/member';
import { hasRedis, RedisServer } from '../support/redis_server';
import { contract, type Range } from './contract';

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

if (hasRedis('the tests of the Redis broker'))
  contract('the Redis broker', async () => new RedisRange(await RedisServer.start()), { members: 3 });
