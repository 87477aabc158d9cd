import assert from 'node:assert/strict';
import { Cluster, type Worker } from '../../support/cluster';
import { eventually } from '../../support/eventually';
import { leave, publish, read } from '../../support/mail';
import { Stream } from '../../support/stream';

const CONFIG = { sse: { mailbox: { keys: ['box:*'] }, history: { age: 500 } } };

async function killWorkers(cluster: Cluster, workers: readonly Worker[]): Promise<void> {
  for (const { pid } of workers) await cluster.signal(pid, 'SIGKILL');
  await cluster.allWorkers();
}

async function killAgent(cluster: Cluster): Promise<void> {
  const agent = await cluster.agentPid();
  await cluster.signal(agent, 'SIGKILL');
  await eventually(async () => (await cluster.agentPid()) !== agent);
}

/** Resolves when the history has let go of everything in all workers. */
async function historyIsOver(cluster: Cluster): Promise<void> {
  for (const { url } of await cluster.allWorkers()) {
    await eventually(async () => {
      const { historyMessages } = (await (await fetch(`${url}/stats`)).json()) as { historyMessages: number };
      return historyMessages === 0;
    });
  }
}

describe('mail in an Egg app', () => {
  const clusters: Cluster[] = [];
  after(() => Promise.all(clusters.map((cluster) => cluster.stop())));
  async function start(): Promise<Cluster> {
    const cluster = await Cluster.start({ workers: 2, config: CONFIG });
    clusters.push(cluster);
    return cluster;
  }

  it('comes once, on whichever worker, also to a page that is reloaded on another', async () => {
    const cluster = await start();
    const workers = await cluster.allWorkers();
    for (let round = 0; round < 10; round++) {
      const [here, there] = round % 2 === 0 ? [workers[0]!, workers[1]!] : [workers[1]!, workers[0]!];
      await publish(here, 'box:ann', `${round}`);
      const stream = await Stream.open(`${there.url}/stream?connectKey=box:ann`);
      await stream.untilMessages(1);
      assert.deepEqual(stream.data, [`${round}`]);
      await leave(stream, there, 'box:ann');
      assert.deepEqual(await read(here, 'box:ann'), []);
    }
  });

  it('survives every worker and the agent, one after the other, and what was taken does not come again', async () => {
    const cluster = await start();
    const [first, second] = (await cluster.allWorkers()) as [Worker, Worker];
    for (const data of ['1', '2']) await publish(first, 'box:ann', data);
    await publish(first, 'box:bob', 'taken');
    assert.deepEqual(await read(second, 'box:bob'), ['taken']);
    await historyIsOver(cluster);
    await killWorkers(cluster, [first]);
    await killAgent(cluster);
    await publish(second, 'box:ann', '3');
    await killWorkers(cluster, [second]);
    await killAgent(cluster);
    const [third, fourth] = (await cluster.allWorkers()) as [Worker, Worker];
    assert.deepEqual(await read(third, 'box:bob'), []);
    assert.deepEqual(await read(fourth, 'box:ann'), ['1', '2', '3']);
    await killAgent(cluster);
    await killWorkers(cluster, [fourth]);
    for (const worker of await cluster.allWorkers()) {
      assert.deepEqual(await read(worker, 'box:ann'), []);
      assert.deepEqual(await read(worker, 'box:bob'), []);
    }
  });

  it('waits while there is no worker at all, as long as the agent lives', async () => {
    const cluster = await start();
    const workers = await cluster.allWorkers();
    await publish(workers[0]!, 'box:ann', '1');
    await historyIsOver(cluster);
    await Promise.all(workers.map(({ pid }) => cluster.signal(pid, 'SIGKILL')));
    const [worker] = await cluster.allWorkers();
    assert.deepEqual(await read(worker!, 'box:ann'), ['1']);
  });
});
