import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Cluster, type Worker } from './support/cluster';
import { eventually } from './support/eventually';
import { publish, read } from './support/mail';
import { RedisServer } from './support/redis_server';

describe('mail in an app of two hosts with Redis', { timeout: 240_000 }, () => {
  let redis: RedisServer;
  const hosts: Cluster[] = [];

  const start = async (): Promise<Cluster> => {
    const mailbox = { keys: ['box:*'] };
    const sse = { redis: redis.options, mailbox, history: { age: 500 }, pingInterval: 1_000 };
    const cluster = await Cluster.start({ workers: 2, config: { sse } });
    hosts.push(cluster);
    return cluster;
  };

  before(async () => {
    redis = await RedisServer.start(['--appendonly', 'yes', '--appendfsync', 'always']);
    await start();
    await start();
  });

  after(async () => {
    await Promise.all(hosts.map((host) => host.stop()));
    await redis?.stop();
  });

  const workerOf = async (host: number): Promise<Worker> => (await hosts[host]!.allWorkers())[0]!;

  /** Resolves when Redis' order holds nothing of the mail any more, and `count` messages are held for mailboxes. */
  const held = async (count: number): Promise<void> => {
    const name = (await redis.admin.keys('*:order'))[0]!.replace(/order$/, '');
    await eventually(async () => {
      const entries = await redis.admin.xrange(`${name}order`, '-', '+');
      return !JSON.stringify(entries).includes('box:') && (await redis.admin.xlen(`${name}mail`)) === count;
    });
  };

  it('comes once, on whichever host', async () => {
    await publish(await workerOf(0), 'box:ann', '1');
    assert.deepEqual(await read(await workerOf(1), 'box:ann'), ['1']);
    assert.deepEqual(await read(await workerOf(0), 'box:ann'), []);
    await held(0);
    assert.deepEqual(await read(await workerOf(0), 'box:ann'), []);
  });

  it('survives all of a host, Redis and all workers, and what was taken does not come again', async () => {
    for (const data of ['1', '2']) await publish(await workerOf(0), 'box:ann', data);
    await publish(await workerOf(0), 'box:bob', 'taken');
    await held(3);
    assert.deepEqual(await read(await workerOf(1), 'box:bob'), ['taken']);
    await held(2);
    for (const host of hosts) process.kill(host.masterPid, 'SIGKILL');
    await Promise.all(hosts.splice(0).map((host) => host.stop()));
    await redis.kill();
    await redis.restart();
    await start();
    await publish(await workerOf(0), 'box:ann', '3');
    await start();
    assert.deepEqual(await read(await workerOf(1), 'box:bob'), []);
    assert.deepEqual(await read(await workerOf(1), 'box:ann'), ['1', '2', '3']);
    assert.deepEqual(await read(await workerOf(0), 'box:ann'), []);
    await held(0);
    const left = (await redis.admin.keys('*')).filter((name) => /:(waiting|done|unread)$/.test(name));
    assert.deepEqual(left, []);
    await start();
    assert.deepEqual(await read(await workerOf(2), 'box:ann'), []);
  });
});
