import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RedisBroker } from '../../lib/broker/redis/redis_broker';
import { readRedisConfig, type EggRedisConfig } from '../../lib/redis/settings';
import type { RedisConfig } from '../../lib/options/redis';
import { eventually } from '../support/eventually';
import { Member } from '../support/member';
import { freePort } from '../support/free_port';
import { describeWithRedis, RedisServer } from '../support/redis_server';

const TLS = join(__dirname, '../fixtures/tls');

describeWithRedis('the connection to Redis', () => {
  const closing: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  const serve = async (...args: string[]): Promise<RedisServer> => {
    const server = await RedisServer.start(args);
    closing.push(() => server.stop());
    return server;
  };

  const join2 = async (config: RedisConfig, app: EggRedisConfig = {}): Promise<Member> => {
    const logger = { info: () => undefined, warn: () => undefined, error: () => undefined };
    const settings = readRedisConfig(config, { baseDir: __dirname, redis: app });
    const bounds = { count: 1_000, age: 60_000 };
    const member = new Member(new RedisBroker(settings, { app: 'test', host: 'a', serves: true, bounds, logger }));
    await member.start();
    closing.push(() => member.broker.stop());
    return member;
  };

  /** A message from one worker reaches another, and one that starts later. */
  const carries = async (config: RedisConfig, app?: EggRedisConfig): Promise<void> => {
    const [from, to] = [await join2(config, app), await join2(config, app)];
    await from.publish('x');
    await eventually(() => to.delivered.length === 1, 'the other worker has it');
    assert.deepEqual((await join2(config, app)).delivered, ['x']);
    assert.equal((await from.broker.ask({ count: 'a' }, 'everywhere')).complete, true);
  };

  it('takes a password', async () => {
    const { options } = await serve('--requirepass', 'secret');
    await carries({ ...options, password: 'secret' });
  });

  it('takes TLS', async () => {
    const port = await freePort();
    await serve(
      '--tls-port',
      String(port),
      '--tls-auth-clients',
      'no',
      '--tls-cert-file',
      join(TLS, 'cert.pem'),
      '--tls-key-file',
      join(TLS, 'key.pem'),
    );
    await carries({ host: 'localhost', port, tls: { ca: readFileSync(join(TLS, 'cert.pem')) } });
  });

  it('takes a socket in the file system', async () => {
    const { path } = await serve('--unixsocket', 'redis.sock');
    await carries({ path: join(path, 'redis.sock') });
  });

  it('takes a keyPrefix, and leaves no key without it', async () => {
    const server = await serve();
    await carries({ ...server.options, keyPrefix: 'mine:' });
    const keys = await server.admin.keys('*');
    assert.ok(keys.length > 3);
    assert.deepEqual(
      keys.filter((key) => !key.startsWith('mine:{egg-sse:test}:')),
      [],
    );
  });

  it('takes a Sentinel', async () => {
    const master = await serve();
    const sentinel = await RedisServer.startSentinel(master);
    closing.push(() => sentinel.stop());
    await carries({ sentinels: [sentinel.options], name: 'mymaster' });
  });

  it('takes a Redis Cluster', async () => {
    const server = await serve('--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1');
    await server.admin.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    await eventually(async () => String(await server.admin.call('CLUSTER', 'INFO')).includes('cluster_state:ok'));
    await carries({ cluster: true, nodes: [server.options] });
    await carries({ cluster: true, nodes: [server.options], keyPrefix: 'mine:' });
  });

  for (const version of ['ioredis4', 'ioredis', 'ioredis6']) {
    it(`works with ${version}`, async () => {
      const { options } = await serve();
      // oxlint-disable-next-line typescript/no-require-imports -- the app's own, whichever it is
      const loaded = require(version) as { default: unknown };
      await carries({ ...options, Redis: loaded.default });
    });
  }

  it("takes the configuration of one of the app's clients by its name", async () => {
    const { options } = await serve('--requirepass', 'secret');
    await carries(
      { client: 'sse' },
      { default: { password: 'secret' }, clients: { sse: options, other: { port: 1 } } },
    );
  });

  it("takes that of the app's one client", async () => {
    const { options } = await serve();
    await carries({ client: true }, { client: options });
  });

  it('refuses a client that the app does not have, and says which there are', () => {
    const read = (app: EggRedisConfig): unknown => readRedisConfig({ client: 'sse' }, { baseDir: '/', redis: app });
    assert.throws(() => read({ clients: { a: {}, b: {} } }), {
      code: 'ERR_SSE_CONFIG',
      message: /config\.sse\.redis\.client is "sse", but config\.redis\.clients has a, b; /,
    });
    assert.throws(() => read({}), { code: 'ERR_SSE_CONFIG', message: /config\.redis has no client; / });
  });
});
