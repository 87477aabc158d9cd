import assert from 'node:assert/strict';
import { Cluster, type Worker } from '../../support/cluster';
import { Stream } from '../../support/stream';

async function open(url: string): Promise<Stream> {
  return (await Stream.open(url)).until(({ events }) => events.length > 0);
}

describe('publish with confirm in an app of two workers', () => {
  let cluster: Cluster;

  before(async () => {
    cluster = await Cluster.start({ workers: 2 });
  });
  after(() => cluster?.stop());

  it('counts over both, over one, and says when one does not answer, in 2 s', async () => {
    const [here, there] = (await cluster.allWorkers()) as [Worker, Worker];
    const streams = await Promise.all([here, here, there].map(({ url }) => open(`${url}/stream?connectKey=a`)));
    const confirmed = async (reach: string): Promise<unknown> => {
      const response = await fetch(`${here.url}/publish?key=a&data=x&confirm=1&reach=${reach}`);
      const { clients, complete } = (await response.json()) as Record<string, unknown>;
      return { clients, complete };
    };
    assert.deepEqual(await confirmed('everywhere'), { clients: 3, complete: true });
    assert.deepEqual(await confirmed('host'), { clients: 3, complete: true });
    assert.deepEqual(await confirmed('process'), { clients: 2, complete: true });
    await cluster.signal(there.pid, 'SIGSTOP');
    const began = performance.now();
    assert.deepEqual(await confirmed('everywhere'), { clients: 2, complete: false });
    assert.ok(performance.now() - began < 2_500);
    await cluster.signal(there.pid, 'SIGCONT');
    for (const stream of streams) stream.close();
  });
});
