import assert from 'node:assert/strict';
import { Cluster } from '../support/cluster';
import { eventually } from '../support/eventually';
import { Hosts } from '../support/hosts';
import { codeOf, get, isOver, lastOf, open, read, textOf, upTo } from '../support/runs';

describe('runs in an app of two hosts with Redis', () => {
  let hosts: Hosts;

  before(async () => {
    hosts = await Hosts.start({ history: { age: 500, count: 50 }, runs: { age: 120_000 } });
  });

  after(() => hosts?.stop());

  it('are read and stopped on any host, and resumed exactly', async () => {
    await get(await hosts.worker(0), '/run?id=1&every=2');
    const first = await open(await hosts.worker(1), '1');
    await first.untilMessages(100);
    first.close();
    const second = await open(await hosts.worker(0), '1', first.lastEventId);
    await second.untilMessages(100);
    assert.deepEqual(await get(await hosts.worker(1), '/stop-run?id=1'), { stopped: true });
    await second.until(isOver);
    second.close();
    const text = textOf(first) + textOf(second);
    assert.equal(text, upTo(lastOf(second)));
    for (const host of [0, 1]) assert.equal(textOf(await read(await hosts.worker(host), '1')), text);
  });

  it('are one of an id, started on all hosts at once', async () => {
    const workers = (await Promise.all(hosts.clusters.map((host) => host.allWorkers()))).flat();
    const answers = await Promise.all(workers.map((each) => get<{ code?: string }>(each, '/run?id=same&count=3')));
    const codes = answers.map(({ code }) => code).filter((code) => code !== undefined);
    assert.deepEqual(codes, Array(3).fill('ERR_SSE_RUN_EXISTS'));
    for (const worker of workers) assert.equal(textOf(await read(worker, 'same')), upTo(3));
  });

  it('outlive all workers and Redis itself, when the order has let go of them', async () => {
    await get(await hosts.worker(0), '/run?id=kept&count=500');
    assert.equal(textOf(await read(await hosts.worker(1), 'kept')), upTo(500));
    const name = (await hosts.redis.admin.keys('*:order'))[0]!.replace(/order$/, '');
    await eventually(async () => {
      const entries = await hosts.redis.admin.xrange(`${name}order`, '-', '+');
      return !JSON.stringify(entries).includes('run:') && (await hosts.redis.admin.xlen(`${name}parts`)) > 2;
    });
    for (const host of hosts.clusters) process.kill(host.masterPid, 'SIGKILL');
    await Promise.all(hosts.clusters.splice(0).map((host) => host.stop()));
    await hosts.redis.kill();
    await hosts.redis.restart();
    await hosts.add();
    await hosts.add();
    const stream = await read(await hosts.worker(1), 'kept');
    assert.deepEqual([textOf(stream), stream.own('gap')], [upTo(500), []]);
    const { code } = await get<{ code?: string }>(await hosts.worker(0), '/run?id=kept&count=1');
    assert.equal(code, 'ERR_SSE_RUN_EXISTS');
  });

  it('tell their readers when the host that produced them is gone', async () => {
    await get(await hosts.worker(0), '/run?id=2&every=5');
    const stream = await open(await hosts.worker(1), '2');
    await stream.untilMessages(50);
    const [lost] = hosts.clusters.splice(0, 1);
    process.kill(lost!.masterPid, 'SIGKILL');
    await stream.until(isOver);
    stream.close();
    assert.equal(codeOf(stream), 'ERR_SSE_RUN_LOST');
    assert.equal(textOf(stream), upTo(lastOf(stream)));
    const late = await read(await hosts.worker(0), '2');
    assert.deepEqual([textOf(late), codeOf(late)], [textOf(stream), 'ERR_SSE_RUN_LOST']);
    await lost!.stop();
  });

  it('leave nothing in Redis when their lifetime is over', async () => {
    await Promise.all(hosts.clusters.splice(0).map((host) => host.stop()));
    const sse = { redis: hosts.redis.options, history: { age: 200 }, runs: { age: 500 } };
    const cluster = await Cluster.start({ workers: 1, config: { sse } });
    hosts.clusters.push(cluster);
    await get(await hosts.worker(0), '/run?id=brief&count=10');
    const name = (await hosts.redis.admin.keys('*:order'))[0]!.replace(/order$/, '');
    await eventually(async () => {
      const left = await Promise.all(
        ['order', 'parts'].map((stream) => hosts.redis.admin.xrange(`${name}${stream}`, '-', '+')),
      );
      return !JSON.stringify(left).includes('run:brief');
    });
    await eventually(async () => {
      const stats = await get<{ historyMessages: number; runMessages: number }>(await hosts.worker(0), '/stats');
      return stats.historyMessages + stats.runMessages === 0;
    });
    const late = await open(await hosts.worker(0), 'brief');
    await late.until((stream) => stream.own('gap').length === 1);
    late.close();
  });
});
