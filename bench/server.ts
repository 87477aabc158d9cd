import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../test/support/eventually';
import { freePort } from '../test/support/free_port';
import { descendantsOf } from '../test/support/processes';
import { Program } from './program';
import { cpuOf, memoryOf } from './machine';

/** What can be measured, in the order of the tables. */
export const SERVERS = {
  ours: 'egg-sse 2 (this package), in an Egg app',
  early: 'the same with `early: true`',
  hub: 'the same without Egg: `createHub` on node:http',
  raw: '`res.write` of node:http',
  'better-sse': 'better-sse 0.16.1',
  'fastify-sse': '@fastify/sse 0.6.0',
  original: 'egg-sse 1.0.7, in an Egg app',
  nchan: 'nchan on nginx (C)',
  'limit-1': 'a C server, a send for each message',
  'limit-joined': 'a C server that joins a burst',
} as const;

export type ServerName = keyof typeof SERVERS;

/** What is there to start servers with. */
export interface Workshop {
  /** The plugin, built. */
  readonly plugin: string;
  /** limit.c, compiled. */
  readonly limit: string;
  /** nginx's module. */
  readonly nchan: string | undefined;
  /** What keeps a server on its core. */
  readonly pin: readonly string[];
}

/** How a server is to run. */
export interface ServerOptions {
  readonly workers?: number;
  readonly pingMs?: number;
  /** More of `config.sse`, and beside it. */
  readonly sse?: object;
  readonly config?: object;
}

/** What to publish; see servers/control.js. */
export interface Publishing {
  readonly count: number;
  readonly size: number;
  readonly burst?: number;
  readonly ahead?: number;
  readonly per: number;
  readonly rate?: number;
  readonly keys?: number;
  readonly streams?: number;
}

// What a run that is cut short has left.
const folders = new Set<string>();
process.once('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

interface Said {
  readonly port: number;
  readonly control: number;
  readonly pid: number;
}

/** A running server, in processes of its own. */
export class Server {
  readonly name: ServerName;
  /** What the clients have received, for the server to read. */
  readonly progress: string;
  readonly #dir: string;
  readonly #program: Program;
  readonly #isCluster: boolean;
  #said: Said[] = [];

  private constructor(name: ServerName, workshop: Workshop, options: ServerOptions, port: number) {
    this.name = name;
    this.#dir = mkdtempSync(join(tmpdir(), 'egg-sse-bench-'));
    folders.add(this.#dir);
    this.progress = join(this.#dir, 'progress');
    writeFileSync(this.progress, Buffer.alloc(8));
    this.#isCluster = name === 'ours' || name === 'early' || name === 'original';
    const { pin } = workshop;
    const env = {
      NODE_ENV: 'production',
      NODE_OPTIONS: '',
      HOME: this.#dir,
      BENCH_DIR: this.#dir,
      BENCH_PROGRESS: this.progress,
      BENCH_PING_MS: String(options.pingMs ?? 10_000),
      BENCH_PORT: String(port),
      BENCH_PLUGIN: workshop.plugin,
      ...(this.#isCluster ? eggOf(name, workshop, options, port) : {}),
      ...(name === 'nchan' ? { BENCH_PIN: JSON.stringify(pin), BENCH_NCHAN: JSON.stringify([workshop.nchan]) } : {}),
    };
    this.#program = new Program(commandOf(name, workshop, this.progress), env);
  }

  /** Starts one; resolves when it serves. */
  static async start(name: ServerName, workshop: Workshop, options: ServerOptions = {}): Promise<Server> {
    const server = new Server(name, workshop, options, await freePort());
    try {
      for (let i = 0; i < (options.workers ?? 1); i++)
        server.#said.push(await server.#program.next<Said>('control', 60));
    } catch (error) {
      const logs = server.#isCluster ? readLog(join(server.#dir, 'logs/common-error.log')) : '';
      await server.stop();
      throw new Error(`${name} did not start: ${logs}`, { cause: error });
    }
    return server;
  }

  get port(): number {
    return this.#said[0]!.port;
  }

  /** The processes that hold the connections. */
  get pids(): readonly number[] {
    return this.#said.map(({ pid }) => pid);
  }

  /** Seconds of CPU: of those that hold the connections, and of all of its processes. */
  get cpu(): { readonly workers: number; readonly all: number } {
    const workers = this.pids.reduce((sum, pid) => sum + cpuOf(pid), 0);
    if (!this.#isCluster) return { workers, all: workers };
    const all = [this.#program.pid, ...descendantsOf(this.#program.pid).map(({ pid }) => pid)];
    return { workers, all: all.reduce((sum, pid) => sum + cpuOf(pid), 0) };
  }

  /** Bytes of memory of those that hold the connections, without garbage. */
  async memory(): Promise<number> {
    if (this.name !== 'nchan' && !this.name.startsWith('limit')) await this.ask('/collect');
    return this.pids.reduce((sum, pid) => sum + memoryOf(pid), 0);
  }

  /** Memory as it is, garbage and all. */
  get rawMemory(): number {
    return this.pids.reduce((sum, pid) => sum + memoryOf(pid), 0);
  }

  /** Resolves when all is published. */
  async publish({ burst = 1, ahead = 1, rate = 0, keys = 0, streams = 0, ...rest }: Publishing): Promise<void> {
    // In the order in which limit.c reads them.
    const { count, size, per } = rest;
    const query = Object.entries({ count, size, burst, ahead, per, rate, keys, streams });
    await this.ask(`/publish?${query.map(([name, value]) => `${name}=${value}`).join('&')}`);
  }

  /** Resolves when so many streams are open in all. */
  async has(clients: number): Promise<void> {
    await eventually(async () => (await this.#count()) >= clients, `${this.name} has ${clients} streams`);
  }

  /** Resolves when no stream is open. */
  async hasNone(): Promise<void> {
    await eventually(async () => (await this.#count()) === 0, `${this.name} has no streams`);
  }

  async #count(): Promise<number> {
    const counts = await Promise.all(this.#said.map(({ control }) => ask<number>(control, '/count')));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** Asks a worker, the first one unless said. */
  ask<T = unknown>(path: string, worker = 0): Promise<T> {
    return ask<T>(this.#said[worker]!.control, path);
  }

  /** Kills its worker; resolves when another one serves. */
  async restartWorker(): Promise<void> {
    process.kill(this.pids[0]!, 'SIGKILL');
    this.#said = [await this.#program.next<Said>('control', 60)];
  }

  async stop(): Promise<void> {
    await this.#program.stop();
    rmSync(this.#dir, { recursive: true, force: true, maxRetries: 20 });
    folders.delete(this.#dir);
  }
}

async function ask<T>(control: number, path: string): Promise<T> {
  const response = await fetch(`http://127.0.0.1:${control}${path}`);
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${path}: ${text}`);
  return JSON.parse(text) as T;
}

function commandOf(name: ServerName, { limit, pin }: Workshop, progress: string): string[] {
  const script = (file: string): string => join(__dirname, 'servers', file);
  switch (name) {
    case 'limit-1':
      return [...pin, limit, '1', progress];
    case 'limit-joined':
      return [...pin, limit, 'joined', progress];
    case 'nchan':
      // The publisher is on the clients' core, as this process is, and pins nginx itself.
      return [process.execPath, script('nchan.js')];
    case 'ours':
    case 'early':
    case 'original':
      return [...pin, process.execPath, script('egg_main.js')];
    default:
      return [...pin, process.execPath, script(`${name.replace('-', '_')}.js`)];
  }
}

function eggOf(name: ServerName, { plugin }: Workshop, options: ServerOptions, port: number): NodeJS.ProcessEnv {
  const { workers = 1, pingMs = 10_000, config } = options;
  const isOurs = name !== 'original';
  const sse = { ...options.sse, ...(name === 'early' && { early: true }) };
  return {
    EGG_SERVER_ENV: 'prod',
    EGG_MASTER_LOGGER_LEVEL: 'ERROR',
    BENCH_ORIGINAL: isOurs ? '0' : '1',
    BENCH_PLUGIN: isOurs ? plugin : join(__dirname, 'node_modules/egg-sse-1'),
    BENCH_CONFIG: JSON.stringify({ ...config, sse: { maxClients: 20_000, pingInterval: pingMs, ...sse } }),
    BENCH_CLUSTER: JSON.stringify({ baseDir: join(__dirname, 'servers/egg'), workers, port }),
  };
}

function readLog(file: string): string {
  try {
    return readFileSync(file, 'utf8').slice(-5_000);
  } catch {
    return '';
  }
}
