import assert from 'node:assert/strict';
import { user } from '../../../lib';
import { Cluster } from '../../support/cluster';
import { eventually } from '../../support/eventually';
import { Stream } from '../../support/stream';

for (const workers of [2, 4]) {
  describe(`maxClientsPerUser in an app of ${workers} workers`, () => {
    const clusters: Cluster[] = [];
    after(() => Promise.all(clusters.map((cluster) => cluster.stop())));

    it('holds over all of them when 50 are opened in the same moment, and after one of them died', async () => {
      const limit = 5;
      const cluster = await Cluster.start({
        workers,
        plugins: { users: 'users' },
        config: { sse: { maxClientsPerUser: limit } },
      });
      clusters.push(cluster);
      const openMany = async (): Promise<Stream[]> => {
        const urls = (await cluster.allWorkers()).map(({ url }) => url);
        const streams = await Promise.all(
          Array.from({ length: 50 }, (_, i) => Stream.open(`${urls[i % urls.length]}/stream?user=ann`)),
        );
        assert.deepEqual(new Set(streams.map(({ status }) => status)), new Set([200, 429]));
        return streams.filter(({ status }) => status === 200);
      };
      const total = async (): Promise<unknown> => {
        const [worker] = cluster.workers();
        return (await fetch(`${worker!.url}/total?key=${encodeURIComponent(user('ann'))}`)).json();
      };
      for (let round = 0; round < 5; round++) {
        const open = await openMany();
        assert.equal(open.length, limit);
        assert.deepEqual(await total(), { clients: limit, complete: true });
        for (const stream of open) stream.close();
        await eventually(async () => ((await total()) as { clients: number }).clients === 0);
      }

      const [worker] = await cluster.allWorkers();
      const held = await Promise.all(
        Array.from({ length: limit }, () => Stream.open(`${worker!.url}/stream?user=ann`)),
      );
      assert.ok(held.every(({ status }) => status === 200));
      await cluster.signal(worker!.pid, 'SIGKILL');
      await eventually(async () => ((await total()) as { complete: boolean }).complete);
      await cluster.allWorkers();
      const open = await openMany();
      assert.equal(open.length, limit);
      for (const stream of [...open, ...held]) stream.close();
    });

    it('lets a client in when a worker does not answer, unless those who do know of too many', async () => {
      const cluster = await Cluster.start({
        workers,
        plugins: { users: 'users' },
        config: { sse: { maxClientsPerUser: 1 } },
      });
      clusters.push(cluster);
      const [here, there] = await cluster.allWorkers();
      const held = await Stream.open(`${there!.url}/stream?user=ann`);
      await cluster.signal(there!.pid, 'SIGSTOP');
      const first = await Stream.open(`${here!.url}/stream?user=ann`);
      assert.equal(first.status, 200);
      assert.equal((await Stream.open(`${here!.url}/stream?user=ann`)).status, 429);
      await cluster.signal(there!.pid, 'SIGCONT');
      for (const stream of [held, first]) stream.close();
    });
  });
}
