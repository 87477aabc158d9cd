import assert from 'node:assert/strict';
import fc from 'fast-check';
import { user } from '../../lib';
import type { Poll, Question } from '../../lib/order/broker';
import { UserLimit } from '../../lib/access/user_limit';
import { eventually } from '../support/eventually';
import { plainServers } from '../support/plain';
import { Stream } from '../support/stream';

/** Processes of a host that ask each other, whose answers come when a test lets them. */
class Host {
  readonly #processes: { open: number; users: UserLimit }[];
  readonly #scheduler: fc.Scheduler;

  constructor(processes: number, limit: number, scheduler: fc.Scheduler) {
    this.#scheduler = scheduler;
    this.#processes = Array.from({ length: processes }, () => {
      const each: { open: number; users: UserLimit } = { open: 0, users: new UserLimit(limit, () => each.open) };
      return each;
    });
  }

  get open(): number {
    return this.#processes.reduce((sum, { open }) => sum + open, 0);
  }

  /** A connect to one of them. */
  async connect(at: number): Promise<void> {
    const process = this.#processes[at % this.#processes.length]!;
    const { isFree, release } = await process.users.reserve('ann', (question) => this.#ask(question));
    if (isFree) process.open++;
    release();
  }

  async #ask(question: Question): Promise<Poll> {
    const { slots: of, ticket } = question as Extract<Question, { slots: string }>;
    const answers = this.#processes.map(async ({ users }) => {
      // The question is on its way, then the answer is.
      await this.#scheduler.schedule(Promise.resolve());
      const answer = users.answer(of, ticket);
      await this.#scheduler.schedule(Promise.resolve());
      return answer;
    });
    return { answers: await Promise.all(answers), complete: true };
  }
}

describe('UserLimit', () => {
  it('lets in as many as its limit, never more, and fewer only where fewer come, however the answers come', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 3 }),
        fc.array(fc.nat(3), { minLength: 1, maxLength: 7 }),
        async (scheduler, processes, limit, connects) => {
          const host = new Host(processes, limit, scheduler);
          const done = connects.map(async (at) => {
            await scheduler.schedule(Promise.resolve());
            await host.connect(at);
          });
          await scheduler.waitFor(Promise.all(done));
          assert.equal(host.open, Math.min(limit, connects.length));
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('config.sse.maxClientsPerUser', () => {
  const start = plainServers();

  async function startFor(options: object): Promise<Awaited<ReturnType<typeof start>>> {
    const server = await start(options);
    server.sse.authorize((ctx) => ({
      user: new URL((ctx as unknown as { url: string }).url, server.url).searchParams.get('user'),
    }));
    return server;
  }

  it('refuses the next with 429 and Retry-After, ends none that is open, and has room again when one leaves', async () => {
    const { sse, url } = await startFor({ maxClientsPerUser: 2 });
    const streams = [await Stream.open(`${url}?user=ann`), await Stream.open(`${url}?user=ann`)];
    const refused = await fetch(`${url}?user=ann`);
    assert.equal(refused.status, 429);
    assert.match(refused.headers.get('retry-after')!, /^[2-4]$/);
    assert.equal(((await refused.json()) as { code: string }).code, 'ERR_SSE_USER_CLIENTS');
    assert.equal((await Stream.open(`${url}?user=ann`, { method: 'HEAD' })).status, 200);
    const bob = await Stream.open(`${url}?user=bob`);
    assert.deepEqual([sse.count(user('ann')), sse.count(user('bob'))], [2, 1]);
    streams.shift()!.close();
    await eventually(() => sse.count(user('ann')) === 1);
    const next = await Stream.open(`${url}?user=ann`);
    assert.equal(next.status, 200);
    for (const stream of [...streams, bob, next]) stream.close();
  });

  it('with overload "retry" tells the client to come back by itself', async () => {
    const { url } = await startFor({ maxClientsPerUser: 1, overload: 'retry' });
    const first = await Stream.open(`${url}?user=ann`);
    const second = await (await Stream.open(`${url}?user=ann`)).untilEnd();
    assert.equal(second.status, 200);
    assert.equal((JSON.parse(second.own('busy')[0]!.data) as { code: string }).code, 'ERR_SSE_USER_CLIENTS');
    first.close();
  });

  it('does not limit those of whom nobody knows who they are', async () => {
    const { url } = await startFor({ maxClientsPerUser: 1 });
    const streams = await Promise.all(Array.from({ length: 5 }, () => Stream.open(url)));
    assert.ok(streams.every(({ status }) => status === 200));
    for (const stream of streams) stream.close();
  });

  it('keeps no slot for a client that left while it was asked for', async () => {
    const { sse, url } = await startFor({ maxClientsPerUser: 1 });
    for (let i = 0; i < 20; i++) {
      const leaving = new AbortController();
      const request = fetch(`${url}?user=ann`, { signal: leaving.signal }).catch(() => undefined);
      leaving.abort();
      await request;
    }
    await eventually(() => sse.countAll() === 0);
    const stream = await Stream.open(`${url}?user=ann`);
    assert.equal(stream.status, 200);
    stream.close();
  });
});
