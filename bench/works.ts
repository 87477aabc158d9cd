import { setTimeout as wait } from 'node:timers/promises';
import { RedisServer } from '../test/support/redis_server';
import { problemsOf } from './clients';
import type { ServerName, ServerOptions, Workshop } from './server';
import { measure, Session, type Measured } from './session';

/** What a work measures with. */
export interface Bench {
  readonly workshop: Workshop & { readonly client: readonly string[] };
  readonly servers: readonly ServerName[];
  /** Letters of what is to be measured. */
  readonly only: ReadonlySet<string>;
  readonly isQuick: boolean;
  /** 0 for the first. */
  readonly round: number;
  /** Open files that a process may have. */
  readonly files: number;
  note(work: string, server: string, measured: Measured): void;
  fail(work: string, server: string, error: unknown): void;
}

/** One arrangement of clients, in which one or several things are measured. */
export interface Scene {
  readonly letters: readonly string[];
  readonly servers: readonly ServerName[];
  /** Whether it is measured in each round, or only in the first. */
  readonly isRepeated: boolean;
  measure(bench: Bench, server: ServerName): Promise<void>;
}

const OTHERS: readonly ServerName[] = ['raw', 'better-sse', 'fastify-sse', 'original', 'nchan'];

/** CPU seconds that one measurement takes, about. A round over more clients takes longer, and it must be some rounds. */
const secondsOf = (clients = 1_000): number => 1.2 * (clients > 5_000 ? 2.5 : 1);

/** a, b, c: one key and a thousand clients on it. */
const crowd: Scene = {
  letters: ['a', 'b', 'c'],
  servers: ['ours', 'hub', ...OTHERS, 'limit-1', 'limit-joined'],
  isRepeated: true,
  async measure(bench, server) {
    const { only, isQuick } = bench;
    const isLimit = server.startsWith('limit');
    const seconds = secondsOf();
    await withServer(bench, server, {}, async (session) => {
      await session.open({ clients: 1_000 });
      if (only.has('a') && server !== 'limit-joined') {
        bench.note('a-1000-200', server, measure(await session.runFor(seconds, { size: 200 })));
        if (!isQuick) bench.note('a-1000-2000', server, measure(await session.runFor(seconds, { size: 2_000 })));
      }
      if (only.has('b')) {
        // The next burst comes when all have the last one.
        const run = await session.runFor(seconds, { size: 200, burst: 100, ahead: 100 }, 100);
        bench.note('b', server, measure(run));
      }
      if (only.has('c') && !isLimit) {
        await session.run({ count: 20, size: 200 });
        bench.note('c', server, measure(await session.run({ count: 50, size: 200, rate: 10 })));
      }
    });
  },
};

/** a, e, f, g: ten thousand clients. */
const tenThousand: Scene = {
  letters: ['a', 'e', 'f', 'g'],
  servers: ['ours', 'early', 'hub', ...OTHERS, 'limit-1'],
  isRepeated: true,
  async measure(bench, server) {
    const { only, isQuick, round } = bench;
    const clients = Math.min(10_000, bench.files - 200);
    const seconds = secondsOf(clients);
    const pingMs = isQuick ? 4_000 : 10_000;
    const isLimit = server.startsWith('limit');
    if (isLimit && !only.has('a')) return;
    // Once a stream is open it makes no difference.
    const wantsSpeed = only.has('a') && server !== 'early';
    await withServer(bench, server, { pingMs }, async (session) => {
      const wantsIdle = !isLimit && ['e', 'f', 'g'].some((letter) => only.has(letter));
      // What only the first connections cost is not theirs.
      if (wantsIdle) await session.open({ clients: 1_000 });
      if (wantsIdle) await session.close();
      const memory = wantsIdle ? await session.server.memory() : 0;
      const cpu = session.server.cpu.workers;
      await session.open({ clients });
      if (wantsIdle) {
        const cpuMicroseconds = ((session.server.cpu.workers - cpu) / clients) * 1e6;
        const bytes = ((await session.server.memory()) - memory) / clients;
        if (only.has('f')) bench.note('f', server, { figures: { cpuMicroseconds }, problems: [] });
        if (only.has('e')) bench.note('e', server, { figures: { bytes }, problems: [] });
        if (only.has('g') && round === 0) bench.note('g', server, await idle(session, clients, pingMs));
      }
      if (!wantsSpeed) return;
      bench.note('a-10000-200', server, measure(await session.runFor(seconds, { size: 200 })));
      if (!isQuick) bench.note('a-10000-2000', server, measure(await session.runFor(seconds, { size: 2_000 })));
    });
  },
};

/** CPU of idle connections over one interval of pings. */
async function idle({ server }: Session, clients: number, pingMs: number): Promise<Measured> {
  const before = server.cpu;
  const began = performance.now();
  await wait(pingMs);
  const seconds = (performance.now() - began) / 1_000;
  const { workers } = server.cpu;
  const cpu = workers - before.workers;
  return {
    figures: { cpuMicroseconds: (cpu / clients / ((seconds * 1_000) / pingMs)) * 1e6, share: cpu / seconds },
    problems: [],
  };
}

/** d: each client has a key of its own. */
const keys: Scene = {
  letters: ['d'],
  servers: ['ours', 'hub', ...OTHERS],
  isRepeated: true,
  async measure(bench, server) {
    const clients = Math.min(10_000, bench.files - 200);
    await withServer(bench, server, {}, async (session) => {
      await session.open({ clients, keys: 1 });
      const one = await session.runFor(secondsOf(), { size: 200, keys: clients }, clients);
      bench.note('d-1', server, measure(one));
      const many = await session.runFor(secondsOf(), { size: 200, keys: clients, burst: 100 }, clients);
      bench.note('d-100', server, measure(many));
    });
  },
};

/** h: everybody comes back at once and wants what they missed. */
const resume: Scene = {
  letters: ['h'],
  servers: ['ours', 'nchan'],
  isRepeated: false,
  async measure(bench, server) {
    const clients = bench.isQuick ? 1_000 : Math.min(10_000, bench.files - 200);
    const messages = 1_000;
    await withServer(bench, server, {}, async (session) => {
      const isOurs = server === 'ours';
      const lastEventId = isOurs ? await session.server.ask<string>('/mark?key=k') : undefined;
      await session.server.publish({ count: messages, size: 200, per: 0, ahead: Number.POSITIVE_INFINITY });
      // It has its place after all the others: they are in the order then.
      if (isOurs) await session.server.ask('/mark?key=other');
      if (isOurs) await session.server.restartWorker();
      const { received } = await session.clients.expect({ clients, messages, size: 200 }, 30);
      const before = session.server.cpu;
      const began = performance.now();
      await session.clients.open({ clients, ...(isOurs ? { lastEventId: lastEventId! } : { path: '/replay' }) });
      const openSeconds = (performance.now() - began) / 1_000;
      const got = await received;
      const seconds = (performance.now() - began) / 1_000;
      const cpu = session.server.cpu.workers - before.workers;
      const figures = { openSeconds, seconds, cpu, perCpuSecond: got.deliveries / cpu, clientsBusy: got.busy };
      bench.note('h', server, { figures, problems: problemsOf(got) });
    });
  },
};

/** i: 5 of 100 clients do not read. */
const stalled: Scene = {
  letters: ['i'],
  servers: ['ours', ...OTHERS],
  isRepeated: false,
  async measure(bench, server) {
    const size = 2_000;
    const count = 6_000;
    await withServer(bench, server, {}, async (session) => {
      await session.open({ clients: 100 });
      const free = await session.run({ count: 300, size });
      await session.open({ clients: 100, stalled: 20 });
      const before = await session.server.memory();
      let most = before;
      const sampler = setInterval(() => (most = Math.max(most, session.server.rawMemory)), 200);
      try {
        const run = await session.run({ count, size });
        const { figures, problems } = measure(run);
        const growth = Math.max(0, most - before);
        const kept = (await session.server.memory()) - before;
        const speed = figures.perCpuSecond! / measure(free).figures.perCpuSecond!;
        bench.note('i', server, { figures: { ...figures, growth, kept, speed, sent: count * size }, problems });
      } finally {
        clearInterval(sampler);
      }
    });
  },
};

/** j: several workers. */
const workers: Scene = {
  letters: ['j'],
  servers: ['ours'],
  isRepeated: false,
  async measure(bench, server) {
    const redis = await RedisServer.start();
    try {
      for (const by of ['agent', 'redis'] as const) {
        for (const count of [1, 2, 4]) {
          const sse = by === 'redis' ? { redis: redis.options } : {};
          const name = `${by}-${count}`;
          try {
            await withServer(bench, server, { workers: count, sse }, async (session) => {
              await session.open({ clients: 1_000 });
              await session.run({ count: 100, size: 200 });
              const paced = measure(await session.run({ count: bench.isQuick ? 20 : 100, size: 200, rate: 20 }));
              const fast = measure(await session.runFor(secondsOf(), { size: 200 }));
              const { lastP50, lastP99, allCpuMicroseconds } = paced.figures;
              const { perSecond, allCpuMicroseconds: fastCpuMicroseconds } = fast.figures;
              bench.note('j', name, {
                figures: {
                  lastP50: lastP50!,
                  lastP99: lastP99!,
                  allCpuMicroseconds: allCpuMicroseconds!,
                  perSecond: perSecond!,
                  fastCpuMicroseconds: fastCpuMicroseconds!,
                },
                problems: [...paced.problems, ...fast.problems],
              });
            });
          } catch (error) {
            bench.fail('j', name, error);
          }
        }
      }
    } finally {
      await redis.stop();
    }
  },
};

/** Cost as the number of clients grows. */
const growingClients: Scene = {
  letters: ['clients'],
  servers: ['ours', 'raw', 'better-sse', 'nchan'],
  isRepeated: false,
  async measure(bench, server) {
    const counts = bench.isQuick ? [100, 1_000, 5_000] : [100, 300, 1_000, 3_000, 10_000, 15_000];
    await withServer(bench, server, {}, async (session) => {
      for (const clients of counts.filter((count) => count <= bench.files - 200)) {
        await session.open({ clients });
        const { figures, problems } = measure(await session.runFor(secondsOf(clients), { size: 200 }));
        bench.note('clients', server, { figures: { x: clients, ...figures }, problems });
      }
    });
  },
};

/** Cost as the number of keys grows: each message goes to one key, that one client holds. */
const growingKeys: Scene = {
  letters: ['keys'],
  servers: ['ours', 'raw', 'better-sse'],
  isRepeated: false,
  async measure(bench, server) {
    const counts = bench.isQuick ? [1, 1_000, 100_000] : [1, 10, 100, 1_000, 10_000, 100_000];
    await withServer(bench, server, {}, async (session) => {
      for (const count of counts) {
        const clients = Math.min(count, 1_000);
        await session.open({ clients, keys: count / clients });
        const unit = Math.max(count, 10_000);
        const run = await session.runFor(secondsOf(), { size: 200, keys: count, burst: 100 }, unit);
        const { figures, problems } = measure(run);
        bench.note('keys', server, { figures: { x: count, ...figures }, problems });
      }
    });
  },
};

/** Memory as the history grows. */
const growingHistory: Scene = {
  letters: ['kept'],
  servers: ['ours'],
  isRepeated: false,
  async measure(bench, server) {
    const history = { age: 3_600_000, count: 1_000_000, bytes: 2 ** 30 };
    await withServer(bench, server, { sse: { history } }, async (session) => {
      const fresh = await session.server.memory();
      bench.note('kept', server, { figures: { x: 0, bytes: 0 }, problems: [] });
      for (let i = 0; i < (bench.isQuick ? 3 : 8); i++) {
        await session.server.publish({ count: 25_000, size: 200, per: 0, ahead: Number.POSITIVE_INFINITY });
        await session.server.ask('/mark?key=other');
        const bytes = (await session.server.memory()) - fresh;
        const { historyMessages } = await session.server.ask<{ historyMessages: number }>('/stats');
        bench.note('kept', server, { figures: { x: historyMessages, bytes }, problems: [] });
      }
    });
  },
};

/** All that is measured, in its order. */
export const SCENES: readonly Scene[] = [
  crowd,
  tenThousand,
  keys,
  resume,
  stalled,
  workers,
  growingClients,
  growingKeys,
  growingHistory,
];

function withServer(
  { workshop }: Bench,
  server: ServerName,
  options: ServerOptions,
  use: (session: Session) => Promise<void>,
): Promise<void> {
  return Session.with(server, workshop, options, use);
}
