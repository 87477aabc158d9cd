import assert from 'node:assert/strict';
import { eventually } from '../support/eventually';
import { publish, read } from '../support/mail';
import { Hosts } from '../support/hosts';

describe('mail in an app of two hosts with Redis', () => {
  let hosts: Hosts;

  before(async () => {
    hosts = await Hosts.start({ mailbox: { keys: ['box:*'] }, history: { age: 500 } });
  });

  after(() => hosts?.stop());

  /** Resolves when Redis' order holds nothing of the mail any more, and `count` messages are held for mailboxes. */
  const held = async (count: number): Promise<void> => {
    const name = (await hosts.redis.admin.keys('*:order'))[0]!.replace(/order$/, '');
    await eventually(async () => {
      const entries = await hosts.redis.admin.xrange(`${name}order`, '-', '+');
      return !JSON.stringify(entries).includes('box:') && (await hosts.redis.admin.xlen(`${name}mail`)) === count;
    });
  };

  it('comes once, on whichever host', async () => {
    await publish(await hosts.worker(0), 'box:ann', '1');
    assert.deepEqual(await read(await hosts.worker(1), 'box:ann'), ['1']);
    assert.deepEqual(await read(await hosts.worker(0), 'box:ann'), []);
    await held(0);
    assert.deepEqual(await read(await hosts.worker(0), 'box:ann'), []);
  });

  it('survives all of a host, Redis and all workers, and what was taken does not come again', async () => {
    for (const data of ['1', '2']) await publish(await hosts.worker(0), 'box:ann', data);
    await publish(await hosts.worker(0), 'box:bob', 'taken');
    await held(3);
    assert.deepEqual(await read(await hosts.worker(1), 'box:bob'), ['taken']);
    await held(2);
    for (const host of hosts.clusters) process.kill(host.masterPid, 'SIGKILL');
    await Promise.all(hosts.clusters.splice(0).map((host) => host.stop()));
    await hosts.redis.kill();
    await hosts.redis.restart();
    await hosts.add();
    await publish(await hosts.worker(0), 'box:ann', '3');
    await hosts.add();
    assert.deepEqual(await read(await hosts.worker(1), 'box:bob'), []);
    assert.deepEqual(await read(await hosts.worker(1), 'box:ann'), ['1', '2', '3']);
    assert.deepEqual(await read(await hosts.worker(0), 'box:ann'), []);
    await held(0);
    const left = (await hosts.redis.admin.keys('*')).filter((name) => /:(waiting|done|unread)$/.test(name));
    assert.deepEqual(left, []);
    await hosts.add();
    assert.deepEqual(await read(await hosts.worker(2), 'box:ann'), []);
  });
});
