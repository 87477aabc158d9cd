// `npm run bench:streams`: holds 100,000 streams on several workers, publishes to all of them, kills a worker, and asks every
// client whether it got each message once. `npm run bench:streams -- 10000 4`: so many streams, on so many workers.
//
// It needs Linux, gcc, and about 3 GB of free memory for 100,000 streams. Each step is bounded in time. Nothing outlives it.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Cluster, type Worker } from '../../test/support/cluster';
import { Clients, type ClientsState } from './clients';
import { describeMachine } from '../machine';
import { cpuSeconds, kernelBytes, openFilesLimit, residentBytes } from './machine';

const ROOT = path.join(__dirname, '../..');
const APP = path.join(__dirname, 'app');

// Files of a process that are no streams.
const OTHER_FILES = 500;
// Node.js gives a connection to a worker that has time: some get more than their share.
const UNEVEN = 1.3;
// An address has about 28,000 ports; once half of them are taken, the kernel searches long for each.
const CLIENTS_PER_ADDRESS = 12_500;

const STEP_MS = 600_000;
const RUN_MS = 3_600_000;
const QUIET_MS = 20_000;
const ROUNDS = 10;
// One may be left without an answer; see clients.c.
const NEARLY_ALL = 0.999;
// While a worker is gone: seldom enough that those who are there do not take all of the machine.
const PUBLISH_MS_PER_STREAM = 0.05;
const PUBLISHES_AFTER = 3;

/** What is asked for on the command line. */
function readArguments(): { count: number; workers: number } {
  const [count = 100_000, workers = 4] = process.argv.slice(2).map(Number);
  if (!(Number.isInteger(count) && count > 0 && Number.isInteger(workers) && workers > 1)) {
    throw new Error('npm run bench:streams -- <streams> <workers>: two whole numbers, at least 1 and 2');
  }
  // While one worker is dead, the others have its streams.
  const needed = Math.ceil((UNEVEN * count) / (openFilesLimit() - OTHER_FILES)) + 1;
  if (needed > workers) {
    console.log(
      `${needed} workers instead of ${workers}: a process may have ${openFilesLimit()} files open (ulimit -Hn)`,
    );
  }
  return { count, workers: Math.max(workers, needed) };
}

/** Builds the clients, and the plugin as npm gets it, in a folder. */
function build(dir: string): { clients: string; plugin: string } {
  const clients = path.join(dir, 'clients');
  execFileSync('gcc', ['-O2', '-o', clients, path.join(__dirname, 'clients.c')], { stdio: 'inherit' });
  const plugin = path.join(dir, 'plugin');
  const tsc = require.resolve('typescript/bin/tsc');
  execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', plugin], {
    cwd: ROOT,
    stdio: 'inherit',
  });
  copyFileSync(path.join(ROOT, 'package.json'), path.join(plugin, 'package.json'));
  symlinkSync(path.join(ROOT, 'node_modules'), path.join(dir, 'node_modules'));
  return { clients, plugin };
}

/** A run. */
class Run {
  readonly #cluster: Cluster;
  readonly #clients: Clients;
  readonly #count: number;
  #published = 0;

  constructor(cluster: Cluster, clients: Clients, count: number) {
    this.#cluster = cluster;
    this.#clients = clients;
    this.#count = count;
  }

  async open(): Promise<void> {
    const pids = this.#pids();
    const memory = residentBytes(pids);
    const kernel = kernelBytes();
    const cpu = cpuSeconds(pids);
    const began = process.hrtime.bigint();
    await this.#clients.open();
    await this.#allAreOpen();
    const { openedAt } = await this.#clients.state();
    const seconds = secondsBetween(began, openedAt);
    const workers = cpuSeconds(pids) - cpu;
    say('open all', `${seconds.toFixed(1)} s, ${Math.round(this.#count / seconds)} a second`);
    say('CPU of the workers', `${((workers * 1e6) / this.#count).toFixed(0)} µs per stream`);

    const shares = await Promise.all(this.#cluster.workers().map((worker) => connectionsOf(worker)));
    say('streams per worker', `${Math.min(...shares)} to ${Math.max(...shares)}`);

    const quiet = cpuSeconds(pids);
    await pause(QUIET_MS);
    const share = (cpuSeconds(pids) - quiet) / (QUIET_MS / 1_000);
    say('CPU of the workers, when quiet', `${(share * 100).toFixed(0)} % of a core, for pings`);
    say('memory of the workers', `${perStream(residentBytes(pids) - memory, this.#count)} per stream`);
    say('memory of the kernel', `${perStream(kernelBytes() - kernel, this.#count)} per stream, for both of its ends`);
  }

  async publishToAll(): Promise<void> {
    const rounds: number[][] = [];
    const pids = this.#pids();
    const cpu = cpuSeconds(pids);
    for (let i = 0; i < ROUNDS; i++) {
      await this.#publish(this.#cluster.workers()[0]!);
      await this.#allAreServed();
      rounds.push(await this.#clients.delays(this.#published - 1));
    }
    const used = (cpuSeconds(pids) - cpu) / ROUNDS;
    const [p50, p99, last] = [0.5, 0.99, 1].map((share) => median(rounds.map((delays) => quantile(delays, share))));
    say('one message to all', `p50 ${p50} ms, p99 ${p99} ms, the last ${last} ms (medians of ${ROUNDS})`);
    say('CPU of the workers', `${((used * 1e6) / this.#count).toFixed(1)} µs per stream and message`);
  }

  /** Kills a worker while messages are published; says whether all came once. */
  async killOne(): Promise<boolean> {
    const [killed, other] = this.#cluster.workers() as [Worker, Worker];
    const its = await connectionsOf(killed);
    const before = await this.#clients.state();
    const publishing = this.#publishOften(other);
    let after: ClientsState;
    try {
      await publishing.published(1);
      const began = process.hrtime.bigint();
      await this.#cluster.signal(killed.pid, 'SIGKILL');
      await this.#until('its clients have noticed', ({ dropped }) => dropped > before.dropped);
      await this.#until('nearly all streams are open', ({ open }) => open >= NEARLY_ALL * this.#count);
      const nearly = await this.#clients.state();
      await this.#allAreOpen();
      after = await this.#clients.state();
      say('a worker is killed', `${after.dropped - before.dropped} streams ended; it had ${its}`);
      const [most, all] = [nearly, after].map(({ openedAt }) => secondsBetween(began, openedAt).toFixed(1));
      say('they are back', `99.9 % of all streams are open after ${most} s, all after ${all} s`);
      await publishing.published(PUBLISHES_AFTER);
    } finally {
      await publishing.stop();
    }
    await this.#allAreServed();
    await this.#cluster.allWorkers();

    const { lost, twice, gaps, refused, unanswered, dropped } = await this.#clients.state(this.#published);
    say(
      'attempts in vain',
      `${refused - before.refused} refused, ${unanswered - before.unanswered} without an answer for 60 s`,
    );
    const deliveries = this.#published * this.#count;
    say('of all', `${this.#published} messages, ${deliveries} deliveries: ${lost} lost, ${twice} twice, ${gaps} gaps`);
    return lost + twice + gaps === 0 && dropped - before.dropped === its;
  }

  #pids(): number[] {
    return this.#cluster.workers().map(({ pid }) => pid);
  }

  async #allAreOpen(): Promise<void> {
    await this.#until('all streams are open', ({ open }) => open === this.#count);
  }

  async #allAreServed(): Promise<void> {
    await this.#until('all have all messages', ({ behind }) => behind === 0);
  }

  /** Resolves when the condition holds; rejects, with how the clients are, when it does not within the time of a step. */
  async #until(what: string, condition: (clients: ClientsState) => boolean): Promise<void> {
    const end = performance.now() + STEP_MS;
    for (;;) {
      const state = await this.#clients.state(this.#published);
      if (condition(state)) return;
      if (performance.now() > end)
        throw new Error(`not within ${STEP_MS / 1_000} s: ${what}; ${JSON.stringify(state)}`);
      await pause(50);
    }
  }

  async #publish({ url }: Worker): Promise<void> {
    const signal = AbortSignal.timeout(STEP_MS);
    const response = await fetch(`${url}/publish?number=${this.#published}`, { signal });
    if (!response.ok) throw new Error(`publishing was answered ${response.status}: ${await response.text()}`);
    this.#published++;
  }

  /** Publishes often, one after the other, until it is stopped. */
  #publishOften(worker: Worker): { published(more: number): Promise<void>; stop(): Promise<void> } {
    const over = new AbortController();
    const publish = async (): Promise<void> => {
      while (!over.signal.aborted) {
        await this.#publish(worker);
        await pause(PUBLISH_MS_PER_STREAM * this.#count);
      }
    };
    const ended = publish();
    // It is told to whoever stops it.
    ended.catch(() => over.abort());
    return {
      published: async (more) => {
        const goal = this.#published + more;
        await this.#until('messages are published', () => over.signal.aborted || this.#published >= goal);
      },
      stop: () => {
        over.abort();
        return ended;
      },
    };
  }
}

async function connectionsOf({ url }: Worker): Promise<number> {
  const { connections } = (await (await fetch(`${url}/count`)).json()) as { connections: number };
  return connections;
}

function say(what: string, figure: string): void {
  console.log(`${what.padEnd(32)}${figure}`);
}

function secondsBetween(from: bigint, to: number): number {
  return (to - Number(from)) / 1e9;
}

function perStream(bytes: number, count: number): string {
  return `${(bytes / count / 1_024).toFixed(1)} KiB`;
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.ceil(share * sorted.length) - 1] ?? NaN;
}

function median(values: readonly number[]): number {
  return Math.round(
    quantile(
      [...values].sort((a, b) => a - b),
      0.5,
    ),
  );
}

async function main(): Promise<void> {
  if (process.platform !== 'linux') throw new Error('this needs Linux');
  const { count, workers } = readArguments();
  const dir = mkdtempSync(path.join(tmpdir(), 'egg-sse-streams-'));
  let cluster: Cluster | undefined;
  let clients: Clients | undefined;
  try {
    const built = build(dir);
    cluster = await Cluster.start({
      workers,
      app: APP,
      main: path.join(APP, 'start.js'),
      config: { sse: { maxClients: count } },
      env: { BENCH_PLUGIN: built.plugin },
    });
    clients = new Clients(built.clients, {
      count,
      most: Math.min(CLIENTS_PER_ADDRESS, openFilesLimit() - OTHER_FILES),
      port: cluster.port,
      path: '/stream?connectKey=news',
    });
    say('machine', describeMachine());
    say('streams', `${count} on ${workers} workers, from ${clients.programs} client processes`);
    const run = new Run(cluster, clients, count);
    await run.open();
    await run.publishToAll();
    if (!(await run.killOne())) process.exitCode = 1;
    const errors = cluster.log('common-error.log');
    if (errors !== '') {
      console.error(errors.slice(0, 2_000));
      process.exitCode = 1;
    }
  } finally {
    await clients?.stop();
    await cluster?.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

// The last resort. What it has started ends with it.
setTimeout(() => {
  console.error(`the run took more than ${RUN_MS / 1_000} s`);
  process.exit(1);
}, RUN_MS).unref();

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
