import assert from 'node:assert/strict';
import { Audience, CAUSES_PLUGIN, ROWS } from '../support/causes';
import { Cluster } from '../support/cluster';
import { eventually } from '../support/eventually';
import { freePort } from '../support/free_port';
import { describeWithRedis, RedisServer } from '../support/redis_server';
import { Stream } from '../support/stream';

describeWithRedis('a message in an app of two hosts with two workers each, and a client on every worker', () => {
  let redis: RedisServer;
  const hosts: Cluster[] = [];
  const audiences: Audience[] = [];

  before(async () => {
    redis = await RedisServer.start();
    for (let i = 0; i < 2; i++) {
      const cluster = await Cluster.start({
        workers: 2,
        plugins: CAUSES_PLUGIN,
        // One by the name of a client of the app's, one by its own options.
        config:
          i === 0
            ? { redis: { clients: { shared: redis.options } }, sse: { redis: { client: 'shared' } } }
            : { sse: { redis: redis.options } },
      });
      hosts.push(cluster);
      audiences.push(await Audience.of(cluster));
    }
  });

  after(async () => {
    for (const audience of audiences) audience.close();
    await Promise.all(hosts.map((host) => host.stop()));
    await redis?.stop();
  });

  for (const row of ROWS) {
    const there = row.reach === 'everywhere' ? 1 : 0;
    const who = there === 1 ? 'once to each of both hosts' : "once to each of its host's";
    it(`of ${row.cause} has reach '${row.reach}', and comes ${who}`, async () => {
      for (const [i, audience] of audiences.entries()) {
        await audience.hearsOnce(row);
        const { data } = audience.lastOrder;
        for (const client of audiences[1 - i]!.clients.values()) {
          await client.until(() => client.data.includes(`the end of ${data}`));
          assert.equal(client.data.filter((text) => text === data).length, there);
        }
      }
    });
  }

  const total = async (reach: string): Promise<unknown> => {
    const [worker] = hosts[0]!.workers();
    return (await fetch(`${worker!.url}/total?key=a&reach=${reach}`)).json();
  };

  it('that was missed on one host comes on the other, and only what is meant for that host', async () => {
    const [here, there] = hosts as [Cluster, Cluster];
    const away = await Stream.open(`${here.url}/stream?connectKey=a`);
    await away.until(({ events }) => events.length > 0);
    away.close();

    await audiences[0]!.hear('the agent');
    const { data: ofHere } = audiences[0]!.lastOrder;
    await audiences[1]!.hear('the agent');
    const { data: ofThere } = audiences[1]!.lastOrder;

    const back = await Stream.open(`${there.url}/stream?connectKey=a`, {
      headers: { 'Last-Event-ID': away.lastEventId },
    });
    await back.until(({ data }) => data.includes(`the end of ${ofThere}`));
    assert.deepEqual(back.data, [`the end of ${ofHere}`, ofThere, `the end of ${ofThere}`]);
    assert.deepEqual(back.own('gap'), []);
    back.close();
    // Those who are counted below are the others.
    await eventually(async () => ((await total('everywhere')) as { clients: number }).clients === 4);
  });

  it('can have its clients counted over all hosts, and over one', async () => {
    assert.deepEqual(await total('everywhere'), { clients: 4, complete: true });
    assert.deepEqual(await total('host'), { clients: 2, complete: true });
    assert.deepEqual(await total('process'), { clients: 1, complete: true });
  });

  it('says how many clients took it, over all hosts, and over one', async () => {
    const [worker] = hosts[0]!.workers();
    const confirmed = async (reach: string): Promise<unknown> => {
      const response = await fetch(`${worker!.url}/publish?key=a&data=x&confirm=1&reach=${reach}`);
      const { clients, complete } = (await response.json()) as Record<string, unknown>;
      return { clients, complete };
    };
    assert.deepEqual(await confirmed('everywhere'), { clients: 4, complete: true });
    assert.deepEqual(await confirmed('host'), { clients: 2, complete: true });
    assert.deepEqual(await confirmed('process'), { clients: 1, complete: true });
  });

  it('takes two connections to Redis of each worker, and of each agent', async () => {
    const list = String(await redis.admin.client('LIST'));
    const connections = list.trim().split('\n').length - 1;
    assert.equal(connections, 2 * (4 + 2));
  });
});

describe('an app that starts while Redis is away', () => {
  it('serves all the same, says so once, and takes part when Redis is there', async () => {
    const port = await freePort();
    const cluster = await Cluster.start({ workers: 1, config: { sse: { redis: { host: '127.0.0.1', port } } } });
    const stream = await Stream.open(`${cluster.url}/stream?connectKey=a`);
    await stream.until(({ events }) => events.length > 0);
    const published = fetch(`${cluster.url}/publish?key=a&data=x`);

    const redis = await RedisServer.start([], port);
    try {
      assert.equal((await published).status, 200);
      await stream.untilMessages(1);
      assert.deepEqual(stream.data, ['x']);
      stream.close();
      const lines = (pattern: RegExp): number => (cluster.log('egg-web.log').match(pattern) ?? []).length;
      await eventually(() => lines(/Redis is back/g) === 1, 'the log is written');
      assert.equal(lines(/Redis is away/g), 1);
    } finally {
      await cluster.stop();
      await redis.stop();
    }
  });
});
