import assert from 'node:assert/strict';
import { EventSource } from 'eventsource';
import { Cluster, type Worker } from '../../support/cluster';
import { eventually } from '../../support/eventually';
import { codeOf, get, isOver, lastOf, open, read, textOf, upTo } from '../../support/runs';
import { Stream } from '../../support/stream';

describe('runs in an Egg app', () => {
  const clusters: Cluster[] = [];
  after(() => Promise.all(clusters.map((cluster) => cluster.stop())));
  async function start(workers = 2, sse: object = {}): Promise<Cluster> {
    const cluster = await Cluster.start({ workers, config: { sse } });
    clusters.push(cluster);
    return cluster;
  }

  it('are read and stopped on any worker', async () => {
    const cluster = await start();
    const [here, there] = (await cluster.allWorkers()) as [Worker, Worker];
    assert.deepEqual(await get(here, '/run?id=1&every=5'), { id: '1', key: 'run:1' });
    const stream = await open(there, '1');
    await stream.untilMessages(20);
    assert.deepEqual(await get(there, '/stop-run?id=1'), { stopped: true });
    await stream.until(isOver);
    stream.close();
    assert.deepEqual(JSON.parse(stream.own('end')[0]!.data), { run: '1', reason: 'stopped' });
    for (const worker of [here, there]) {
      assert.equal(textOf(await read(worker, '1')), textOf(stream));
      assert.deepEqual(await get(worker, '/stop-run?id=1'), { stopped: false });
      const alone = await Stream.open(`${worker.url}/read-run?id=1`);
      await alone.untilEnd();
      assert.deepEqual([alone.data.join(''), alone.events.length], [textOf(stream), alone.messages.length]);
    }
    assert.equal(textOf(stream), upTo(lastOf(stream)));
  });

  it('are resumed exactly by a page that is reloaded, on whichever worker, also with thousands of pieces', async () => {
    const cluster = await start(2, { history: { count: 100 } });
    const workers = await cluster.allWorkers();
    await get(workers[0]!, '/run?id=1&count=3000&every=1');
    let text = '';
    let id: string | undefined;
    for (let round = 0; round < 12; round++) {
      const stream = await open(workers[round % 2]!, '1', id);
      const before = text;
      await stream.until((s) => s.messages.length >= 30 || isOver(s));
      text = before + textOf(stream);
      id = stream.lastEventId;
      stream.close();
      assert.deepEqual(stream.own('gap'), []);
    }
    const rest = await read(workers[1]!, '1', id);
    assert.equal(text + textOf(rest), upTo(3_000));
    const whole = await read(workers[0]!, '1');
    assert.equal(textOf(whole), upTo(3_000));
    assert.ok(whole.messages.length < 10, `${whole.messages.length} events`);
  });

  it('are one of an id, started on all workers at once', async () => {
    const cluster = await start(3);
    const workers = await cluster.allWorkers();
    for (let round = 0; round < 10; round++) {
      const answers = await Promise.all(
        workers.flatMap((worker) => [1, 2].map(() => get<{ code?: string }>(worker, `/run?id=${round}&count=3`))),
      );
      const codes = answers.map(({ code }) => code).filter((code) => code !== undefined);
      assert.deepEqual(codes, Array(5).fill('ERR_SSE_RUN_EXISTS'));
      for (const worker of workers) assert.equal(textOf(await read(worker, `${round}`)), upTo(3));
    }
  });

  it('tell their readers that their worker was killed, those that come later at once, and keep what there was', async () => {
    const cluster = await start();
    const [producer, other] = (await cluster.allWorkers()) as [Worker, Worker];
    await get(producer, '/run?id=1&every=5');
    const stream = await open(other, '1');
    await stream.untilMessages(50);
    const killedAt = performance.now();
    await cluster.signal(producer.pid, 'SIGKILL');
    await stream.until(isOver);
    const ms = performance.now() - killedAt;
    assert.ok(ms < 15_000, `told after ${ms} ms`);
    assert.equal(codeOf(stream), 'ERR_SSE_RUN_LOST');
    assert.equal(textOf(stream), upTo(lastOf(stream)));
    stream.close();
    for (const worker of await cluster.allWorkers()) {
      const late = await read(worker, '1');
      assert.deepEqual([textOf(late), codeOf(late)], [textOf(stream), 'ERR_SSE_RUN_LOST']);
    }
  });

  it('tell who opens them after all workers were killed', async () => {
    const cluster = await start();
    const workers = await cluster.allWorkers();
    await get(workers[0]!, '/run?id=1&count=100&every=50');
    const stream = await open(workers[1]!, '1');
    await stream.untilMessages(5);
    await Promise.all(workers.map(({ pid }) => cluster.signal(pid, 'SIGKILL')));
    const [worker] = await cluster.allWorkers();
    const late = await read(worker!, '1');
    assert.equal(codeOf(late), 'ERR_SSE_RUN_LOST');
    assert.ok(textOf(late).startsWith(textOf(stream)), `${textOf(late)} does not begin with ${textOf(stream)}`);
  });

  it('go on when the agent is killed, and are whole on a worker that starts later', async () => {
    const cluster = await start();
    const [producer, other] = (await cluster.allWorkers()) as [Worker, Worker];
    await get(producer, '/run?id=1&count=600&every=10');
    const stream = await open(other, '1');
    await stream.untilMessages(20);
    const agent = await cluster.agentPid();
    await cluster.signal(agent, 'SIGKILL');
    await eventually(async () => (await cluster.agentPid()) !== agent);
    await stream.until(isOver);
    assert.equal(textOf(stream), upTo(600));
    assert.deepEqual(stream.own('error'), []);
    await cluster.signal(other.pid, 'SIGKILL');
    for (const worker of await cluster.allWorkers()) assert.equal(textOf(await read(worker, '1')), upTo(600));
  });

  it('are not given up as long as their worker lives, however slow it is', async () => {
    const cluster = await start();
    const [producer, other] = (await cluster.allWorkers()) as [Worker, Worker];
    await get(producer, '/run?id=1&count=2&every=6000');
    const stream = await open(other, '1');
    await stream.untilMessages(1);
    // It answers nobody for a while.
    await fetch(`${producer.url}/block?ms=7000`);
    await stream.until(isOver);
    assert.deepEqual(stream.own('error'), []);
    assert.equal(textOf(stream), upTo(2));
    stream.close();
  });

  it('are read by a real EventSource that loses its worker', async () => {
    const cluster = await start(2);
    const workers = await cluster.allWorkers();
    await get(workers[0]!, '/run?id=1&count=400&every=10');
    const source = new EventSource(`${cluster.url}/stream?connectKey=run:1`);
    let text = '';
    let end: string | undefined;
    source.addEventListener('message', ({ data }) => (text += String(data)));
    for (const name of ['sse:end', 'sse:error']) source.addEventListener(name, () => (end = name));
    await eventually(() => text.length > 50);
    await cluster.signal(workers[1]!.pid, 'SIGKILL');
    await eventually(() => end !== undefined);
    source.close();
    assert.deepEqual([text, end], [upTo(400), 'sse:end']);
  });
});
