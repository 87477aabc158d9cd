import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { environment } from './environment';
import { eventually } from './eventually';
import { freePort } from './free_port';
import { bornAt, isAlive } from './processes';

/** A worker of a cluster, with a port of its own. */
export interface Worker {
  readonly pid: number;
  readonly url: string;
}

/** What a cluster runs. */
export interface ClusterOptions {
  workers?: number;
  /** Left out: a free one. */
  port?: number;
  /** The app: a folder of test/fixtures/apps, or an absolute path. */
  app?: string;
  /** What the app `basic` is configured with. */
  config?: object;
  /** Plugins besides the app's own, or in their place: a folder of test/fixtures/plugins, or an absolute path, by name. */
  plugins?: Readonly<Record<string, string>>;
  /** The file that starts it, in plain JavaScript, run in the app's folder. Left out: one that runs TypeScript. */
  main?: string;
  /** More of the environment. */
  env?: NodeJS.ProcessEnv;
  /** Egg's name for the environment, which says what files of `config/` are read. */
  serverEnv?: string;
}

const FIXTURES = join(__dirname, '../fixtures');
const TYPESCRIPT_MAIN = ['--require', 'tsx/cjs', join(__dirname, 'cluster_main.ts')];

/** A real Egg cluster, in production mode: master, agent and workers, each a process. */
export class Cluster {
  readonly url: string;
  readonly port: number;
  readonly #master: ChildProcess;
  readonly #dir: string;
  readonly #workers: number;
  #printed = '';
  #readyAt = 0;
  readonly #killed = new Set<number>();
  #closed = false;
  #stopped = false;

  private constructor(master: ChildProcess, dir: string, port: number, workers: number) {
    this.#master = master;
    this.#dir = dir;
    this.#workers = workers;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    for (const output of [master.stdout!, master.stderr!]) {
      output.setEncoding('utf8').on('data', (text: string) => (this.#printed += text));
    }
    // Unlike 'exit', it comes when all that was printed has been read.
    master.once('close', () => (this.#closed = true));
  }

  /** Starts one; resolves when every worker serves, rejects with what was printed when it ends before. */
  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const { workers = 1, app = 'basic', config = {}, plugins = {}, main, serverEnv = 'prod', env: more = {} } = options;
    const dir = mkdtempSync(join(tmpdir(), 'egg-sse-test-'));
    mkdirSync(join(dir, 'workers'));
    const { port = await freePort() } = options;
    const baseDir = resolve(FIXTURES, 'apps', app);
    const master = spawn(process.execPath, main === undefined ? TYPESCRIPT_MAIN : [main], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      cwd: main === undefined ? undefined : baseDir,
      env: {
        ...environment(),
        ...more,
        NODE_ENV: 'production',
        EGG_SERVER_ENV: serverEnv,
        EGG_TYPESCRIPT: String(main === undefined),
        EGG_MASTER_LOGGER_LEVEL: 'ERROR',
        HOME: dir,
        FIXTURE_DIR: dir,
        FIXTURE_CONFIG: JSON.stringify(config),
        FIXTURE_CLUSTER: JSON.stringify({
          baseDir,
          workers,
          port,
          plugins: toPlugins({ ownPort: 'own_port', ...plugins }),
        }),
      },
    });
    const cluster = new Cluster(master, dir, port, workers);
    let ready = false;
    master.on('message', ({ action }: { action?: string }) => (ready ||= action === 'egg-ready'));
    await eventually(() => ready || cluster.#closed, 'the cluster is ready or has ended');
    if (!ready) {
      rmSync(dir, { recursive: true, force: true });
      throw new Error(`the app did not start:\n${cluster.#printed}`);
    }
    cluster.#readyAt = performance.now();
    await cluster.allWorkers();
    return cluster;
  }

  get masterPid(): number {
    return this.#master.pid!;
  }

  /** When all of it had started, on the clock of `performance.now()`. */
  get readyAt(): number {
    return this.#readyAt;
  }

  /** The living workers. */
  workers(): Worker[] {
    if (this.#stopped) return [];
    return this.#alive().map(({ pid, port }) => ({ pid, url: `http://127.0.0.1:${port}` }));
  }

  /** Of all workers that there were, those that live. */
  #alive(): { pid: number; port: number }[] {
    return readdirSync(join(this.#dir, 'workers'))
      .filter((name) => /^\d+$/.test(name) && isAlive(Number(name)))
      .map((name) => {
        const { port, born } = JSON.parse(this.read(join('workers', name))) as { port: number; born: string };
        return { pid: Number(name), port, born };
      })
      .filter(({ pid, born }) => isAlive(pid, born));
  }

  /** The workers, once all of them live and serve. */
  async allWorkers(): Promise<Worker[]> {
    await eventually(() => this.workers().length === this.#workers, 'all workers live');
    return this.workers();
  }

  /** Sends a signal to a process of the cluster; resolves, when that ends it, once it is gone. */
  async signal(pid: number, signal: NodeJS.Signals): Promise<void> {
    if (signal === 'SIGKILL') this.#killed.add(pid);
    const born = bornAt(pid);
    process.kill(pid, signal);
    if (signal === 'SIGKILL' || signal === 'SIGTERM') await eventually(() => !isAlive(pid, born), `${pid} is gone`);
  }

  /** Whether a process was killed by `signal`: it may not have died yet. */
  wasKilled(pid: number): boolean {
    return this.#killed.has(pid);
  }

  /** The agent's pid, once it has one. */
  async agentPid(): Promise<number> {
    const told = (): { pid: number; born: string } =>
      JSON.parse(this.read('agent') || '{ "pid": 0 }') as ReturnType<typeof told>;
    await eventually(() => told().pid > 0 && isAlive(told().pid, told().born), 'the agent lives');
    return told().pid;
  }

  /** The errors that its processes logged or printed. */
  get errors(): string {
    return this.log('common-error.log') + this.#printed;
  }

  /** What the processes of the app `basic` wrote to a log. */
  log(name: string): string {
    return this.read(join('logs', name));
  }

  /** What the processes wrote to a file of the test's folder, `FIXTURE_DIR`. */
  read(name: string): string {
    const file = join(this.#dir, name);
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  /** Writes a file of the test's folder, which is there whole or not at all. */
  write(name: string, text: string): void {
    const file = join(this.#dir, name);
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  }

  /** How it ended. */
  get status(): number | NodeJS.Signals | null {
    return this.#master.exitCode ?? this.#master.signalCode;
  }

  /** Kills every process of it at once, as a machine does that dies. */
  async kill(): Promise<void> {
    // The master first: it would start the others again.
    const pids = [this.masterPid, await this.agentPid(), ...this.workers().map(({ pid }) => pid)];
    const births = pids.map(bornAt);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await eventually(() => !pids.some((pid, i) => isAlive(pid, births[i])), 'all of them are gone');
  }

  /** Asks the cluster to end, as a process manager does; resolves with the ms it took. */
  async stop(): Promise<number> {
    const began = performance.now();
    if (this.#stopped) return 0;
    this.#stopped = true;
    if (this.status === null) {
      const exited = once(this.#master, 'exit');
      this.#master.kill('SIGTERM');
      await exited;
    }
    const ms = performance.now() - began;
    await eventually(() => this.#alive().length === 0, 'all workers are gone');
    rmSync(this.#dir, { recursive: true, force: true });
    return ms;
  }
}

function toPlugins(paths: Readonly<Record<string, string>>): Record<string, { enable: true; path: string }> {
  return Object.fromEntries(
    Object.entries(paths).map(([name, path]) => [name, { enable: true, path: resolve(FIXTURES, 'plugins', path) }]),
  );
}
