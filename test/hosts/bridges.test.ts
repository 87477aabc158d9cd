import assert from 'node:assert/strict';
import { Cluster } from '../support/cluster';
import { eventually } from '../support/eventually';
import { RedisServer } from '../support/redis_server';
import { Stream } from '../support/stream';

const WORKERS = 2;

/** Two hosts with a client on every worker, and a Redis. */
class Hosts {
  readonly redis: RedisServer;
  readonly clusters: readonly Cluster[];
  clients: Stream[] = [];
  #marks = 0;

  private constructor(redis: RedisServer, clusters: readonly Cluster[]) {
    this.redis = redis;
    this.clusters = clusters;
  }

  static async start(configOf: (redis: RedisServer, host: number) => object): Promise<Hosts> {
    const redis = await RedisServer.start();
    const clusters: Cluster[] = [];
    for (const host of [0, 1]) {
      const config = configOf(redis, host);
      clusters.push(await Cluster.start({ workers: WORKERS, plugins: { bridges: 'bridges' }, config }));
    }
    return new Hosts(redis, clusters);
  }

  /** New clients, on the hosts that live. */
  async connect(clusters = this.clusters): Promise<void> {
    for (const client of this.clients.splice(0)) client.close();
    for (const cluster of clusters) {
      for (const { url } of await cluster.allWorkers()) {
        const client = await Stream.open(`${url}/stream?connectKey=a`);
        this.clients.push(await client.until(({ events }) => events.length > 0));
      }
    }
  }

  /** Each client got this since it was connected, and nothing else, when a last word has come by Redis. */
  async eachHeard(expected: readonly string[]): Promise<void> {
    const mark = `mark ${++this.#marks}`;
    await this.redis.admin.publish('a', mark);
    for (const client of this.clients) {
      await client.until(({ data }) => data.includes(mark));
      assert.deepEqual(
        client.data.filter((data) => !data.startsWith('mark ')),
        expected,
      );
    }
  }

  async stop(): Promise<void> {
    for (const client of this.clients) client.close();
    await Promise.all(this.clusters.map((cluster) => cluster.stop()));
    await this.redis.stop();
  }

  /** The connections there are, but for that of this test. */
  async connections(): Promise<number> {
    const list = String(await this.redis.admin.client('LIST'));
    return list.trim().split('\n').length - 1;
  }

  /** Resolves when so many hosts listen. */
  async listening(hosts = this.clusters.length): Promise<void> {
    await eventually(async () => {
      const [, subscribers] = await this.redis.admin.pubsub('NUMSUB', 'a');
      return subscribers === hosts;
    }, `${hosts} hosts listen`);
  }
}

const CHANNELS = { channels: { a: true, told: { key: 'a', event: 'told' } }, patterns: { 'room:*': 'a' } } as const;

for (const [order, configOf, perHost] of [
  [
    'the order is that of Redis, too',
    ({ options }: RedisServer, host: number) =>
      host === 0
        ? { sse: { redis: options, bridges: { redis: CHANNELS } } }
        : {
            redis: { clients: { shared: options } },
            sse: { redis: { client: 'shared' }, bridges: { redis: { client: 'shared', ...CHANNELS } } },
          },
    2 * (WORKERS + 1) + 1,
  ],
  [
    'each host has an order of its own',
    ({ options }: RedisServer) => ({ sse: { bridges: { redis: { ...options, ...CHANNELS } } } }),
    1,
  ],
] as const) {
  describe(`what is published in Redis, with two hosts, when ${order},`, () => {
    let hosts: Hosts;
    before(async () => {
      hosts = await Hosts.start(configOf);
      await hosts.connect();
      await hosts.listening();
    });
    after(() => hosts?.stop());

    it('comes to each client of both hosts once, in order', async () => {
      const { admin } = hosts.redis;
      await admin.publish('a', '1');
      await admin.publish('told', '{"data":{"id":2}}');
      await admin.publish('room:7', '3');
      await hosts.eachHeard(['1', '{"id":2}', '3']);
      for (const client of hosts.clients) {
        assert.equal(client.messages[1]!.event, 'told');
        for (const { id } of client.messages) assert.ok(id, 'it can be resumed from');
      }
    });

    it('takes one more connection of each agent', async () => {
      assert.equal(await hosts.connections(), 2 * perHost);
    });

    it('comes again once an agent that was killed is there again', async () => {
      await hosts.connect();
      const [cluster] = hosts.clusters as [Cluster];
      await cluster.signal(await cluster.agentPid(), 'SIGKILL');
      await cluster.agentPid();
      await hosts.listening();
      await hosts.eachHeard([]);
    });

    it('comes again when Redis is back, and each agent says so once', async () => {
      const lines = (): number[] =>
        hosts.clusters.map(
          (cluster) => cluster.log('egg-agent.log').match(/Redis of config\.sse\.bridges\.redis is back/g)?.length ?? 0,
        );
      await hosts.redis.kill();
      await hosts.redis.restart();
      await hosts.listening();
      await eventually(() => lines().every((count) => count === 1), 'they say so');
      await hosts.connect();
      await hosts.eachHeard([]);
    });
  });
}

describe('a schedule made by sseSchedule on two hosts with one Redis', () => {
  let hosts: Hosts;
  before(async () => {
    hosts = await Hosts.start(({ options }) => ({
      sse: { redis: options, bridges: { redis: { channels: { a: true } } } },
    }));
    await hosts.connect();
    await hosts.listening();
  });
  after(() => hosts?.stop());

  const loads = (): number[] => hosts.clusters.map((cluster) => cluster.read('loads').split('\n').length - 1);
  const write = (text: string): void => hosts.clusters.forEach((cluster) => cluster.write('prices', text));
  /** Resolves with how often each host has loaded, when there were so many more. */
  const loadedAgain = async (times: number): Promise<number[]> => {
    const before = loads();
    const since = (): number[] => loads().map((count, host) => count - before[host]!);
    await eventually(() => Math.max(...since()) >= times, 'it was loaded again');
    return since();
  };
  let holder: number;

  it('is loaded by one host at every tick, and by no other', async () => {
    // Its agent may have been looking for Redis at the first ticks.
    await loadedAgain(1);
    const counts = await loadedAgain(20);
    holder = counts.indexOf(Math.max(...counts));
    assert.equal(counts[1 - holder], 0);
    // Longer than a host keeps it that says nothing.
    const ticks = await loadedAgain(140);
    assert.equal(ticks[1 - holder], 0);
  });

  it('comes to each client of both hosts once, and again when it has changed', async () => {
    await hosts.connect();
    write('{"eur":1}');
    for (const client of hosts.clients) await client.untilMessages(1);
    await loadedAgain(5);
    write('{"eur":2}');
    for (const client of hosts.clients) await client.untilMessages(2);
    await loadedAgain(5);
    await hosts.eachHeard(['{"eur":1}', '{"eur":2}']);
  });

  it('goes on when the agent of its host dies, and does not come again', async () => {
    await hosts.connect();
    const cluster = hosts.clusters[holder]!;
    await cluster.signal(await cluster.agentPid(), 'SIGKILL');
    await cluster.agentPid();
    await hosts.listening();
    await loadedAgain(20);
    await hosts.eachHeard([]);
  });

  it('waits for Redis while that is away, which the log says once, and takes no connection of its own', async () => {
    const said = (): number[] =>
      hosts.clusters.map(
        (cluster) => cluster.log('egg-agent.log').match(/what sseSchedule made does not run/g)?.length ?? 0,
      );
    // An agent that has just started may have said it before it was connected.
    const once = said().map((count) => count + 1);
    await hosts.redis.kill();
    await eventually(() => said().every((count, i) => count >= once[i]!), 'they say so');
    await hosts.redis.restart();
    await loadedAgain(20);
    assert.deepEqual(said(), once);
    // Each process comes back in its own time.
    const all = 2 * (2 * (WORKERS + 1) + 1);
    await eventually(async () => (await hosts.connections()) === all, `they have ${all} connections`);
  });

  it('goes on when its host is killed with all of its processes, and comes once', async () => {
    const counts = await loadedAgain(20);
    holder = counts.indexOf(Math.max(...counts));
    const other = hosts.clusters[1 - holder]!;
    await hosts.connect([other]);
    await hosts.clusters[holder]!.kill();
    const killedAt = performance.now();
    const before = loads()[1 - holder]!;
    await eventually(() => loads()[1 - holder]! > before, 'the other host loads it');
    assert.ok(performance.now() - killedAt < 15_000, 'it takes seconds');
    write('{"eur":3}');
    for (const client of hosts.clients) await client.until(({ data }) => data.includes('{"eur":3}'));
    await loadedAgain(5);
    await hosts.eachHeard(['{"eur":3}']);
  });
});

describe('an app whose bridge has a wrong Redis', () => {
  const channels = { a: true };
  for (const [what, sse, text] of [
    [
      'that is nowhere',
      { bridges: { redis: { channels } } },
      /config\.sse\.bridges\.redis does not say where Redis is/,
    ],
    [
      'of a client that the app does not have',
      { bridges: { redis: { client: 'x', channels } } },
      /config\.sse\.bridges\.redis\.client is "x", but config\.redis has no client/,
    ],
  ] as const) {
    it(`does not start with one ${what}, and says what is wrong`, async () => {
      await assert.rejects(Cluster.start({ config: { sse } }), text);
    });
  }
});

describe('an app whose bridge has a Redis that is away', () => {
  it('starts, and hears it when it is there', async () => {
    const gone = await RedisServer.start();
    await gone.kill();
    const config = { sse: { bridges: { redis: { ...gone.options, channels: { a: true } } } } };
    const cluster = await Cluster.start({ config });
    try {
      const client = await Stream.open(`${cluster.url}/stream?connectKey=a`);
      await gone.restart();
      await eventually(async () => (await gone.admin.publish('a', 'x')) === 1, 'it is heard');
      await client.untilMessages(1);
      client.close();
    } finally {
      await cluster.stop();
      await gone.stop();
    }
  });
});
