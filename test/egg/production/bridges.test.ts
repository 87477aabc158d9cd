import assert from 'node:assert/strict';
import { Cluster } from '../../support/cluster';
import { eventually } from '../../support/eventually';
import { raw } from '../../support/raw';
import { Stream } from '../../support/stream';

const WORKERS = 2;
const SECRET = 'a-secret-of-this-test';

describe(`the bridges in an app of ${WORKERS} workers, with a client on each,`, () => {
  let cluster: Cluster;
  let clients: Stream[] = [];
  let marks = 0;

  const connect = async (): Promise<void> => {
    for (const client of clients) client.close();
    clients = [];
    for (const { url } of await cluster.allWorkers()) {
      const client = await Stream.open(`${url}/stream?connectKey=a`);
      clients.push(await client.until(({ events }) => events.length > 0));
    }
  };

  before(async () => {
    cluster = await Cluster.start({
      workers: WORKERS,
      plugins: { bridges: 'bridges' },
      config: {
        // As it is by default.
        security: {},
        sse: {
          publisher: { secret: SECRET },
          bridges: {
            messenger: { news: 'a', told: { key: 'a', event: 'told' }, all: { all: true, reach: 'everywhere' } },
          },
        },
      },
    });
    await connect();
  });

  after(async () => {
    for (const client of clients) client.close();
    await cluster?.stop();
  });

  /** What each client got since it was connected, when all that was published until now is there. */
  const heard = async (): Promise<[string | undefined, string][][]> => {
    const mark = `mark ${++marks}`;
    await (await fetch(`${cluster.url}/publish?key=a&data=${mark}`)).text();
    return Promise.all(
      clients.map(async (client) => {
        await client.until(({ data }) => data.includes(mark));
        return client.messages.filter(({ data }) => !data.startsWith('mark ')).map(({ event, data }) => [event, data]);
      }),
    );
  };

  const eachHeard = async (...expected: [string | undefined, string][]): Promise<void> =>
    assert.deepEqual(
      await heard(),
      clients.map(() => expected),
    );

  describe('HTTP:', () => {
    before(connect);

    it('what a service posts comes to each client once, and CSRF does not stand in its way', async () => {
      const protectedByCsrf = await fetch(`${cluster.url}/form`, { method: 'POST' });
      assert.equal(protectedByCsrf.status, 403);

      for (const { url } of cluster.workers()) {
        const response = await fetch(`${url}/stream`, {
          method: 'POST',
          headers: { Authorization: `Bearer ${SECRET}` },
          body: new URLSearchParams({ key: 'a', event: 'paid', data: 'form' }),
        });
        assert.equal(response.status, 200);
        const { id, reach } = (await response.json()) as { id: string; reach: string };
        assert.equal(reach, 'everywhere');
        for (const client of clients) await client.until(({ lastEventId }) => lastEventId === id);
      }
      await eachHeard(['paid', 'form'], ['paid', 'form']);
    });

    it('a refusal says why', async () => {
      const response = await fetch(`${cluster.url}/stream`, { method: 'POST', body: '{"key":"a","data":"x"}' });
      assert.equal(response.status, 401);
      assert.equal(((await response.json()) as { code: string }).code, 'ERR_SSE_SECRET');
      await eachHeard(['paid', 'form'], ['paid', 'form']);
    });

    it("a service that hangs up in the middle of its body is not in the app's error log", async () => {
      const fields = `Host: x\r\nAuthorization: Bearer ${SECRET}\r\nContent-Type: application/json\r\nContent-Length: 100`;
      const client = await raw(cluster.port, `POST /stream HTTP/1.1\r\n${fields}\r\n\r\n{"key":`);
      client.end();
      await eventually(client.ended);
      for (const { url } of cluster.workers()) await (await fetch(`${url}/fail`)).text();
      // Logs are written with delay: what comes last is waited for.
      const failures = (): number =>
        cluster.log('common-error.log').match(/Error: the app does something/g)?.length ?? 0;
      await eventually(() => failures() >= WORKERS, 'the log is written');
      assert.doesNotMatch(cluster.log('common-error.log'), /ECONNRESET|aborted|EPIPE/);
    });
  });

  describe('messenger:', () => {
    before(connect);

    const send = async (by: string, action: string, data?: unknown): Promise<void> => {
      const query = { by, action, ...(data === undefined ? {} : { data: JSON.stringify(data) }) };
      const response = await fetch(`${cluster.url}/send?${String(new URLSearchParams(query))}`);
      assert.equal(response.status, 200);
    };

    it('what is sent to the agent, or broadcast, comes to each client once', async () => {
      const expected: [string | undefined, string][] = [
        [undefined, 'text'],
        ['told', '{"id":7}'],
        ['own', 'a message'],
        [undefined, '[1]'],
      ];
      await send('sendToAgent', 'news', 'text');
      await send('broadcast', 'told', { id: 7 });
      await send('sendToAgent', 'news', { event: 'own', data: 'a message' });
      await send('broadcast', 'all', [1]);
      // They were sent by several workers.
      const sorted = (all: [string | undefined, string][]) => all.map(([, data]) => data).sort();
      await eventually(() => clients.every(({ data }) => data.filter((each) => !each.startsWith('mark')).length >= 4));
      for (const got of await heard()) assert.deepEqual(sorted(got), sorted(expected));
    });

    it('what is sent to the workers does not go through the agent', async () => {
      await connect();
      await send('sendToApp', 'news', 'not for the agent');
      await send('sendToAgent', 'news', 'for the agent');
      for (const client of clients) await client.untilMessages(1);
      await eachHeard([undefined, 'for the agent']);
    });

    it('what cannot be published is logged, and kills nobody', async () => {
      await connect();
      const agent = await cluster.agentPid();
      await send('sendToAgent', 'news', { data: 'x', event: 'sse:own' });
      await eventually(() => cluster.errors.includes('the messenger action "news" was not published'), 'it is logged');
      await send('sendToAgent', 'news', 'still there');
      for (const client of clients) await client.untilMessages(1);
      await eachHeard([undefined, 'still there']);
      assert.equal(await cluster.agentPid(), agent);
    });
  });

  describe('schedule:', () => {
    before(connect);

    const loads = (): string[] => cluster.read('loads').split('\n').slice(0, -1);

    /** Resolves when a worker, or each of some, has loaded again. */
    const loadedAgain = async (pids: readonly number[] = []): Promise<void> => {
      const before = loads().length;
      await eventually(() => {
        const since = loads().slice(before + 1);
        return since.length > 0 && pids.every((pid) => since.some((line) => line.startsWith(`${pid} `)));
      }, 'it was loaded again');
    };

    const allLoadedAgain = async (): Promise<void> => loadedAgain((await cluster.allWorkers()).map(({ pid }) => pid));

    it('what one worker loads comes to each client once, whoever loads it', async () => {
      await eachHeard();
      cluster.write('prices', '{"eur":1}');
      for (const client of clients) await client.untilMessages(1);
      await allLoadedAgain();
      await eachHeard(['prices', '{"eur":1}']);
    });

    it('when it has changed, it comes again; when load fails, what is true comes at a later run', async () => {
      cluster.write('prices', 'closed');
      await eventually(() => cluster.log('egg-schedule.log').includes('the bank is closed'), 'the failure is logged');
      cluster.write('prices', '{"eur":2}');
      await Promise.all(clients.map((client) => client.until(({ data }) => data.includes('{"eur":2}'))));
      await allLoadedAgain();
      await eachHeard(['prices', '{"eur":1}'], ['prices', '{"eur":2}']);
    });

    it('does not come again in a worker that was started later', async () => {
      const [worker] = await cluster.allWorkers();
      await cluster.signal(worker!.pid, 'SIGKILL');
      await connect();
      await allLoadedAgain();
      await eachHeard();
    });

    it('does not come again after the agent was started again, until it changes', async () => {
      await connect();
      const agent = await cluster.agentPid();
      await cluster.signal(agent, 'SIGKILL');
      await cluster.agentPid();
      await allLoadedAgain();
      await eachHeard();
      cluster.write('prices', '{"eur":3}');
      for (const client of clients) await client.untilMessages(1);
      await allLoadedAgain();
      await eachHeard(['prices', '{"eur":3}']);
    });
  });
});

describe('an app with a wrong bridge', () => {
  for (const [what, sse, text] of [
    [
      'route',
      { bridges: { messenger: { news: 7 } } },
      /config\.sse\.bridges\.messenger\["news"\] is 7; it must be a key/,
    ],
    ['secret', { publisher: { secret: 'short' } }, /config\.sse\.publisher\.secret has 5 characters/],
  ] as const) {
    it(`does not start with a wrong ${what}, and says what is wrong`, async () => {
      await assert.rejects(Cluster.start({ config: { sse } }), text);
    });
  }
});
