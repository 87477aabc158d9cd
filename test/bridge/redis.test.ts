import assert from 'node:assert/strict';
import { RedisBridge, type RedisBridgeTimes } from '../../lib/bridge/redis';
import type { SseRedisBridge } from '../../lib/options/bridges';
import { readRedisConfig } from '../../lib/redis/settings';
import type { RedisConfig } from '../../lib/options/redis';
import { eventually } from '../support/eventually';
import { freePort } from '../support/free_port';
import { plainServers } from '../support/plain';
import { RedisServer } from '../support/redis_server';
import { Stream } from '../support/stream';

describe('the Redis bridge', () => {
  const startServer = plainServers();

  const closing: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  const serve = async (args: string[] = [], port?: number): Promise<RedisServer> => {
    const redis = await RedisServer.start(args, port);
    closing.push(() => redis.stop());
    return redis;
  };

  /** A bridge with a client of `a`, and what it logs. */
  async function start(
    routes: Pick<SseRedisBridge, 'channels' | 'patterns'>,
    config: RedisConfig,
    times: Partial<RedisBridgeTimes> = {},
  ) {
    const { sse, url } = await startServer();
    const logged: string[] = [];
    const log = (message: string | Error): void => void logged.push(String(message));
    const bridge = new RedisBridge(readRedisConfig(config, { baseDir: __dirname }), routes, {
      sse,
      logger: { info: log, warn: log, error: log },
      times,
    });
    bridge.start();
    closing.push(() => bridge.stop());
    const stream = await Stream.open(`${url}?connectKey=a`);
    closing.push(() => stream.close());
    await stream.until(({ events }) => events.length > 0);
    return { sse, bridge, stream, logged };
  }

  /** Resolves when a bridge listens. */
  const subscribed = (redis: RedisServer, to: { channels?: number; patterns?: number } = {}): Promise<void> =>
    eventually(async () => {
      const channels = await redis.admin.pubsub('CHANNELS');
      const patterns: unknown = await redis.admin.pubsub('NUMPAT');
      return channels.length === (to.channels ?? 1) && patterns === (to.patterns ?? 0);
    }, 'the bridge has subscribed');

  /** What the client got, when what was said in Redis until now has arrived: a channel `a` says the last word. */
  async function heard(redis: RedisServer, stream: Stream) {
    await redis.admin.publish('a', 'end');
    await stream.until(({ data }) => data.at(-1) === 'end');
    return stream.messages.slice(0, -1).map(({ event, data, id }) => ({ event, data, id }));
  }

  it("publishes a text to the channel's name, as it is", async () => {
    const redis = await serve();
    const { stream } = await start({ channels: { a: true } }, redis.options);
    await subscribed(redis);
    const texts = [
      'text',
      '',
      ' ',
      '7',
      'null',
      '[1]',
      '{"id":7}',
      '{"event":"e"}',
      '{"data":1',
      '{',
      'two\nlines',
      '日本',
    ];
    for (const text of texts) await redis.admin.publish('a', text);
    await redis.admin.publish('b', 'not for us');
    assert.deepEqual(
      (await heard(redis, stream)).map(({ event, data }) => [event, data]),
      texts.map((text) => [undefined, text]),
    );
  });

  it('takes the JSON of an object for a message when it has data, and no fields but those of a message', async () => {
    const redis = await serve();
    const { stream } = await start({ channels: { a: true } }, redis.options);
    await subscribed(redis);
    const others = ['{"data":"x","total":1}', '{"data":1,"__proto__":{}}', '["data"]'];
    await redis.admin.publish('a', ' {"event":"paid","data":{"id":7},"id":"own"}\n');
    await redis.admin.publish('a', '{"data":"text"}');
    for (const text of others) await redis.admin.publish('a', text);
    const [message, text, ...rest] = await heard(redis, stream);
    assert.deepEqual(message, { event: 'paid', data: '{"id":7}', id: 'own' });
    assert.equal(text!.data, 'text');
    assert.deepEqual(
      rest.map(({ data }) => data),
      others,
    );
  });

  it('goes to another key, to several or to all, and names what has no name of its own', async () => {
    const redis = await serve();
    const { stream } = await start(
      {
        channels: {
          a: { event: 'named' },
          other: 'a',
          both: { key: ['a', 'b'], event: 'both' },
          all: { all: true, event: 'all', reach: 'everywhere' },
        },
      },
      redis.options,
    );
    await subscribed(redis, { channels: 4 });
    await redis.admin.publish('a', '1');
    await redis.admin.publish('a', '{"event":"own","data":2}');
    await redis.admin.publish('other', '3');
    await redis.admin.publish('both', '4');
    await redis.admin.publish('all', '5');
    assert.deepEqual(
      (await heard(redis, stream)).map(({ event, data }) => [event, data]),
      [
        ['named', '1'],
        ['own', '2'],
        [undefined, '3'],
        ['both', '4'],
        ['all', '5'],
      ],
    );
  });

  it("publishes what matches a pattern to the channel's name, unless the channel has a route of its own", async () => {
    const redis = await serve();
    const { stream } = await start(
      { channels: { a: true }, patterns: { '?': { event: 'pattern' }, 'room:*': { key: 'a', event: 'room' } } },
      redis.options,
    );
    await subscribed(redis, { patterns: 2 });
    await redis.admin.publish('a', 'once');
    await redis.admin.publish('b', 'for b');
    await redis.admin.publish('room:7', 'hello');
    assert.deepEqual(
      (await heard(redis, stream)).map(({ event, data }) => [event, data]),
      [
        [undefined, 'once'],
        ['room', 'hello'],
      ],
    );
  });

  it('hears only patterns if it is given nothing else', async () => {
    const redis = await serve();
    const { stream } = await start({ patterns: { '[a]': true } }, redis.options);
    await subscribed(redis, { channels: 0, patterns: 1 });
    await redis.admin.publish('a', 'x');
    assert.deepEqual(
      (await heard(redis, stream)).map(({ data }) => data),
      ['x'],
    );
  });

  it('logs what cannot be published once for each channel and cause, and goes on', async () => {
    const redis = await serve();
    const { stream, logged } = await start({ channels: { a: true, b: 'a' }, patterns: { 'x*': true } }, redis.options);
    await subscribed(redis, { channels: 2, patterns: 1 });
    for (let i = 0; i < 3; i++) {
      await redis.admin.publish('a', `{"data":1,"event":"sse:${i}"}`);
      await redis.admin.publish('a', '{"data":1,"retry":-1}');
      await redis.admin.publish(`x${i}`, '{"data":1,"retry":-1}');
    }
    await redis.admin.publish('b', '{"data":1,"event":"sse:x"}');
    assert.deepEqual(await heard(redis, stream), []);
    await eventually(() => logged.length >= 4);
    assert.equal(logged.length, 4);
    assert.match(
      logged[0]!,
      /a message of the Redis channel "a" was not published: event is "sse:0".*\(this is said once\)$/,
    );
    assert.match(logged[1]!, /the Redis channel "a" was not published: retry is -1/);
    assert.match(logged[2]!, /the Redis pattern "x\*" was not published: retry is -1/);
    assert.match(logged[3]!, /the Redis channel "b" was not published: event is "sse:x"/);
  });

  it('comes back when Redis does, and says in the log once that it went and once that it is back', async () => {
    const redis = await serve();
    const { stream, logged } = await start({ channels: { a: true }, patterns: { 'x*': true } }, redis.options);
    await subscribed(redis, { patterns: 1 });
    for (let i = 1; i <= 2; i++) {
      await redis.kill();
      await eventually(() => logged.length === 2 * i - 1, 'it is away');
      await redis.restart();
      await subscribed(redis, { patterns: 1 });
      await eventually(() => logged.length === 2 * i, 'it is back');
      await redis.admin.publish('a', 'still there');
      await stream.untilMessages(i);
    }
    assert.match(logged[0]!, /^Redis of config\.sse\.bridges\.redis is away, trying again until it is back: /);
    assert.equal(logged[1], 'Redis of config.sse.bridges.redis is back');
    assert.deepEqual(
      (await heard(redis, stream)).map(({ data }) => data),
      ['still there', 'still there'],
    );
  });

  it('starts while Redis is away', async () => {
    const port = await freePort();
    const { stream, logged } = await start({ channels: { a: true } }, { host: '127.0.0.1', port });
    await eventually(() => logged.length === 1);
    const redis = await serve([], port);
    await subscribed(redis);
    assert.deepEqual(await heard(redis, stream), []);
    assert.equal(logged.length, 2);
  });

  it('finds out that a Redis which neither answers nor hangs up is gone, and listens again when it goes on', async () => {
    const redis = await serve();
    const { stream, logged } = await start({ channels: { a: true } }, redis.options, { beat: 20, answer: 100 });
    await subscribed(redis);
    redis.pause();
    await eventually(() => logged.length === 1, 'it is noticed');
    assert.match(logged[0]!, /is away.*Redis did not answer in 100 ms/);
    redis.continue();
    await eventually(() => logged.length === 2, 'it is back');
    await eventually(async () => {
      const list = String(await redis.admin.client('LIST'));
      return list.match(/ sub=1 /g)?.length === 1;
    }, 'there is one connection');
    assert.deepEqual(await heard(redis, stream), []);
  });

  it('stops at once, also while it waits for Redis, and publishes nothing any more', async () => {
    const redis = await serve();
    const { sse, bridge, stream } = await start({ channels: { a: true } }, redis.options);
    await subscribed(redis);
    await bridge.stop();
    await bridge.stop();
    await subscribed(redis, { channels: 0 });
    await redis.admin.publish('a', 'late');
    await sse.publish('a', 'end');
    await stream.untilMessages(1);
    assert.deepEqual(stream.data, ['end']);

    redis.pause();
    const waiting = await start({ channels: { a: true } }, redis.options);
    const began = performance.now();
    await waiting.bridge.stop();
    assert.ok(performance.now() - began < 2_000, 'it does not wait for Redis');
    redis.continue();
  });

  for (const version of ['ioredis4', 'ioredis', 'ioredis6']) {
    it(`knows a channel by its name in Redis, whatever keyPrefix there is, with ${version}`, async () => {
      const redis = await serve();
      // oxlint-disable-next-line typescript/no-require-imports -- the app's own, whichever it is
      const loaded = require(version) as { default: unknown };
      const { stream } = await start(
        { channels: { a: true }, patterns: { 'x*': 'a' } },
        { ...redis.options, keyPrefix: 'mine:', Redis: loaded.default },
      );
      await subscribed(redis, { patterns: 1 });
      assert.deepEqual(await redis.admin.pubsub('CHANNELS'), ['a']);
      await redis.admin.publish('mine:a', 'of another channel');
      await redis.admin.publish('x', 'by a pattern');
      assert.deepEqual(
        (await heard(redis, stream)).map(({ data }) => data),
        ['by a pattern'],
      );
    });
  }

  it('takes a Redis Cluster', async () => {
    const redis = await serve(['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1']);
    await redis.admin.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    await eventually(async () => String(await redis.admin.call('CLUSTER', 'INFO')).includes('cluster_state:ok'));
    const { stream, logged } = await start(
      { channels: { a: true }, patterns: { 'x*': 'a' } },
      { cluster: true, nodes: [redis.options] },
      { beat: 20, answer: 200 },
    );
    await subscribed(redis, { patterns: 1 });
    await redis.admin.publish('x', '1');
    await stream.untilMessages(1);
    redis.pause();
    await eventually(() => logged.length === 1, 'it is noticed');
    redis.continue();
    await eventually(() => logged.length === 2, 'it is back');
    assert.equal((await heard(redis, stream)).length, 1);
  });
});
