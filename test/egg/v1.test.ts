import assert from 'node:assert/strict';
import { Workers } from '../support/egg';
import { Stream } from '../support/stream';

const CLIENTS_PER_WORKER = 3;

describe("the examples of 1.x's README, with clients spread over 2 workers", () => {
  let app: Workers;
  /** By worker. */
  let clients: Stream[][];

  before(async () => {
    app = await Workers.start({ app: 'v1', workers: 2 });
    clients = [];
    for (const { url } of await app.allWorkers()) {
      const opening = Array.from({ length: CLIENTS_PER_WORKER }, (_, i) =>
        Stream.open(`${url}/stream?connectKey=${i}`),
      );
      clients.push(await Promise.all(opening));
    }
    await Promise.all(clients.flat().map((client) => client.until(({ events }) => events.length > 0)));
  });

  after(async () => {
    for (const client of clients?.flat() ?? []) client.close();
    await app?.stop();
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
    await (await fetch(`${app.url}/mark`)).text();
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
    await (await fetch(`${app.url}/publish`)).text();
    await eachGetsOnlyThatOfItsWorker('hello');
  });

  it("a schedule of type 'all' that calls publishAll: each client gets one copy", async () => {
    await eachGetsOnlyThatOfItsWorker('{"aa":11}');
  });
});
