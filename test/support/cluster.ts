import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { environment } from './environment';
import { eventually } from './eventually';
import { freePort } from './free_port';
import { appPath, FixtureDir, pluginsOf, type Worker } from './fixture';
import { bornAt, isAlive } from './processes';

export type { Worker };

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

/** The plugin that gives an app its own Redis clients. */
export const REDIS_PLUGIN = { redis: dirname(require.resolve('egg-redis/package.json')) } as const;

const TYPESCRIPT_MAIN = ['--require', 'tsx/cjs', join(__dirname, 'cluster_main.ts')];

/**
 * A real Egg cluster, in production mode: master, agent and workers, each a process.
 *
 * For what egg-mock's `mm.cluster` cannot do (see `Workers`): in its environment, Egg forks no worker anew that has died,
 * and `mm` asks each worker after every test. So it is for processes that are killed or stopped, for several hosts, and for
 * what Egg does in production alone.
 */
export class Cluster {
  readonly url: string;
  readonly port: number;
  readonly #master: ChildProcess;
  readonly #dir: FixtureDir;
  readonly #workers: number;
  #printed = '';
  #readyAt = 0;
  readonly #killed = new Set<number>();
  #closed = false;
  #stopped = false;

  private constructor(master: ChildProcess, dir: FixtureDir, port: number, workers: number) {
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
    const dir = new FixtureDir();
    const { port = await freePort() } = options;
    const baseDir = appPath(app);
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
        HOME: dir.path,
        ...dir.environment(config),
        FIXTURE_CLUSTER: JSON.stringify({
          baseDir,
          workers,
          port,
          plugins: pluginsOf({ ownPort: 'own_port', ...plugins }),
        }),
      },
    });
    const cluster = new Cluster(master, dir, port, workers);
    let ready = false;
    master.on('message', ({ action }: { action?: string }) => (ready ||= action === 'egg-ready'));
    await eventually(() => ready || cluster.#closed, 'the cluster is ready or has ended');
    if (!ready) {
      dir.remove();
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
    return this.#stopped ? [] : this.#dir.workers();
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
    return this.#dir.log(name);
  }

  /** What the processes wrote to a file of the test's folder. */
  read(name: string): string {
    return this.#dir.read(name);
  }

  /** Writes a file of the test's folder, which is there whole or not at all. */
  write(name: string, text: string): void {
    this.#dir.write(name, text);
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
    await eventually(() => this.#dir.workers().length === 0, 'all workers are gone');
    this.#dir.remove();
    return ms;
  }
}
