import assert from 'node:assert/strict';
import { Audience, CAUSES_PLUGIN, ROWS } from '../support/causes';
import { Cluster } from '../support/cluster';
import { eventually } from '../support/eventually';
import { Stream } from '../support/stream';

for (const workers of [2, 4]) {
  describe(`a message in an app of ${workers} workers, with a client on each`, () => {
    let cluster: Cluster;
    let audience: Audience;

    before(async () => {
      cluster = await Cluster.start({ workers, plugins: CAUSES_PLUGIN });
      audience = await Audience.of(cluster);
    });

    after(async () => {
      audience?.close();
      await cluster?.stop();
    });

    const everyCauseOnce = (): void => {
      for (const row of ROWS) {
        it(`of ${row.cause} has reach '${row.reach}', and comes to each client once`, () => audience.hearsOnce(row));
      }
    };

    everyCauseOnce();

    it('goes as far as the publisher says', async () => {
      for (const reach of ['host', 'everywhere'] as const) {
        const { reaches, copies } = await audience.hear('a controller', 'once', reach);
        assert.deepEqual(reaches, [reach]);
        assert.deepEqual(new Set(copies), new Set([1]));
      }

      const { receipts, copies } = await audience.hear('a controller', 'once', 'process');
      const [{ pid, id, reach }] = receipts as [(typeof receipts)[0]];
      assert.deepEqual({ id, reach }, { id: '', reach: 'process' });
      assert.deepEqual(
        copies,
        [...audience.clients.keys()].map((of) => (of === pid ? 1 : 0)),
      );

      // Every worker runs it, and each of them says that all shall hear it.
      const shouted = await audience.hear('a messenger listener', 'in every worker', 'everywhere');
      assert.deepEqual(new Set(shouted.reaches), new Set(['everywhere']));
      assert.deepEqual(new Set(shouted.copies), new Set([workers]));
    });

    it('of a schedule of a custom type is warned of once in each worker, with what to do', async () => {
      await audience.hear('a schedule of a custom type', 'in every worker');
      await audience.hear('a schedule of a custom type', 'in every worker');
      // Logs are written with delay: what comes last is waited for.
      for (const { pid, url } of cluster.workers()) await (await fetch(`${url}/log?text=end+of+${pid}`)).text();
      const linesWith = (pattern: RegExp): string[] => cluster.log('egg-web.log').match(pattern) ?? [];
      await eventually(() => linesWith(/end of \d+/g).length === workers, 'the log is written');

      const warnings = linesWith(/^.* WARN .*a schedule of type "custom".*$/gm);
      assert.equal(warnings.length, workers, warnings.join('\n'));
      assert.ok(
        warnings.every((text) => text.includes("say { reach: 'process' | 'host' | 'everywhere' }")),
        warnings[0],
      );
    });

    describe('after one of them was killed and started again', () => {
      before(async () => {
        const [worker] = await cluster.allWorkers();
        audience.close();
        await cluster.signal(worker!.pid, 'SIGKILL');
        audience = await Audience.of(cluster);
        assert.equal(audience.clients.has(worker!.pid), false);
      });

      everyCauseOnce();
    });
  });
}

describe('a message in an app of one worker', () => {
  let cluster: Cluster;
  let audience: Audience;

  before(async () => {
    cluster = await Cluster.start({ workers: 1, plugins: CAUSES_PLUGIN });
    audience = await Audience.of(cluster);
  });

  after(async () => {
    audience?.close();
    await cluster?.stop();
  });

  for (const row of ROWS) {
    it(`of ${row.cause} has reach '${row.reach}', a place, and comes once`, () => audience.hearsOnce(row));
  }

  for (const [cause, reach] of [
    ["a schedule of type 'all'", undefined],
    ['a messenger listener', undefined],
    ['a controller', 'process'],
  ] as const) {
    it(`of ${cause}, of reach 'process', comes to a client that was away`, async () => {
      const url = `${cluster.url}/stream?connectKey=a`;
      const away = await Stream.open(url);
      await away.until(({ events }) => events.length > 0);
      away.close();

      const { reaches, events } = await audience.hear(cause, 'once', reach);
      assert.deepEqual(reaches, ['process']);

      const back = await Stream.open(url, { headers: { 'Last-Event-ID': away.lastEventId } });
      await back.untilMessages(2);
      assert.deepEqual(back.messages[0], events[0]![0]);
      assert.deepEqual(back.own('gap'), []);
      back.close();
    });
  }
});
