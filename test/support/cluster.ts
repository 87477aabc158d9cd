import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from './eventually';

/** A worker of a cluster, with a port of its own. */
export interface Worker {
  readonly pid: number;
  readonly url: string;
}

/** A real Egg cluster, in production mode: master, agent and workers, each a process. */
export class Cluster {
  readonly url: string;
  readonly #master: ChildProcess;
  readonly #dir: string;
  readonly #workers: number;
  #printed = '';
  #stopped = false;

  private constructor(master: ChildProcess, dir: string, port: number, workers: number) {
    this.#master = master;
    this.#dir = dir;
    this.#workers = workers;
    this.url = `http://127.0.0.1:${port}`;
    for (const output of [master.stdout!, master.stderr!]) {
      output.setEncoding('utf8').on('data', (text: string) => (this.#printed += text));
    }
  }

  /** Starts one; resolves when every worker serves, rejects with what was printed when it ends before. */
  static async start(options: { workers?: number; app?: string; config?: object } = {}): Promise<Cluster> {
    const { workers = 1, app = 'app', config = {} } = options;
    const dir = mkdtempSync(join(tmpdir(), 'egg-sse-test-'));
    mkdirSync(join(dir, 'workers'));
    const port = await freePort();
    const baseDir = join(__dirname, '../fixtures', app);
    const { NODE_OPTIONS: _, ...env } = process.env;
    const master = spawn(process.execPath, ['--require', 'tsx/cjs', join(__dirname, 'cluster_main.ts')], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: {
        ...env,
        NODE_ENV: 'production',
        EGG_SERVER_ENV: 'prod',
        EGG_TYPESCRIPT: 'true',
        EGG_MASTER_LOGGER_LEVEL: 'ERROR',
        HOME: dir,
        FIXTURE_DIR: dir,
        FIXTURE_CONFIG: JSON.stringify(config),
        FIXTURE_CLUSTER: JSON.stringify({ baseDir, workers, port }),
      },
    });
    const cluster = new Cluster(master, dir, port, workers);
    let ready = false;
    master.on('message', ({ action }: { action?: string }) => (ready ||= action === 'egg-ready'));
    await eventually(() => ready || master.exitCode !== null, 'the cluster is ready or has ended');
    if (!ready) {
      rmSync(dir, { recursive: true, force: true });
      throw new Error(`the app did not start:\n${cluster.#printed}`);
    }
    await cluster.allWorkers();
    return cluster;
  }

  get masterPid(): number {
    return this.#master.pid!;
  }

  /** The living workers. */
  workers(): Worker[] {
    return readdirSync(join(this.#dir, 'workers'))
      .filter((name) => /^\d+$/.test(name) && isAlive(Number(name)))
      .map((name) => {
        const port = readFileSync(join(this.#dir, 'workers', name), 'utf8');
        return { pid: Number(name), url: `http://127.0.0.1:${port}` };
      });
  }

  /** The workers, once all of them live and serve. */
  async allWorkers(): Promise<Worker[]> {
    await eventually(() => this.workers().length === this.#workers, 'all workers live');
    return this.workers();
  }

  /** What the processes wrote to a log. */
  log(name: string): string {
    const file = join(this.#dir, 'logs', name);
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  /** Asks the cluster to end, as a process manager does; resolves with the ms it took. */
  async stop(): Promise<number> {
    const began = performance.now();
    if (this.#stopped) return 0;
    this.#stopped = true;
    if (this.#master.exitCode === null && this.#master.signalCode === null) {
      const exited = once(this.#master, 'exit');
      this.#master.kill('SIGTERM');
      await exited;
    }
    const ms = performance.now() - began;
    await eventually(() => this.workers().length === 0, 'all workers are gone');
    rmSync(this.#dir, { recursive: true, force: true });
    return ms;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
