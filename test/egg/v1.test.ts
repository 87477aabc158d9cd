import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Cluster } from '../support/cluster';
import { Stream } from '../support/stream';

const CLIENTS_PER_WORKER = 3;

describe("the examples of 1.x's README, with clients spread over 2 workers", () => {
  let cluster: Cluster;
  /** By worker. */
  let clients: Stream[][];

  before(async () => {
    cluster = await Cluster.start({ app: 'v1', workers: 2, plugins: { sse: join(__dirname, '../..') } });
    clients = [];
    for (const { url } of await cluster.allWorkers()) {
      const opening = Array.from({ length: CLIENTS_PER_WORKER }, (_, i) =>
        Stream.open(`${url}/stream?connectKey=${i}`),
      );
      clients.push(await Promise.all(opening));
    }
    await Promise.all(clients.flat().map((client) => client.until(({ events }) => events.length > 0)));
  });

  after(async () => {
    for (const client of clients?.flat() ?? []) client.close();
    await cluster?.stop();
  });

  /** Every worker runs the example, and gives its message an id of its own. */
  const eachGetsOnlyThatOfItsWorker = async (data: string): Promise<void> => {
    const got = (client: Stream): string[] =>
      client.messages.filter((event) => event.event === 'data' && event.data === data).map(({ id }) => id!);
    await Promise.all(clients.flat().map((client) => client.until(() => got(client).length > 0)));
    const published = clients.map(([client]) => got(client!)[0]!);
    assert.equal(new Set(published).size, clients.length, 'the clients of two workers got the same message');

    // It goes to everyone, behind all that was published until now.
    const marks = clients[0]![0]!.messages.filter(({ event }) => event === 'mark').length;
    await (await fetch(`${cluster.url}/mark`)).text();
    await Promise.all(
      clients
        .flat()
        .map((client) =>
          client.until(({ messages }) => messages.filter(({ event }) => event === 'mark').length > marks),
        ),
    );
    for (const [worker, its] of clients.entries()) {
      for (const client of its) {
        const ids = got(client);
        assert.deepEqual(
          ids.filter((id) => published.includes(id)),
          [published[worker]],
        );
        assert.equal(new Set(ids).size, ids.length, 'a message came twice');
      }
    }
  };

  it('a messenger listener that calls publishAll: each client gets one copy', async () => {
    await (await fetch(`${cluster.url}/publish`)).text();
    await eachGetsOnlyThatOfItsWorker('hello');
  });

  it("a schedule of type 'all' that calls publishAll: each client gets one copy", async () => {
    await eachGetsOnlyThatOfItsWorker('{"aa":11}');
  });
});
