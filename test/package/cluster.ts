import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { performance } from 'node:perf_hooks';

/** An app that runs as Egg runs it in production: master, agent and one worker. */
export class Cluster {
  readonly port: number;
  readonly url: string;
  readonly #master: ChildProcess;
  readonly #exited: Promise<number | string | null>;

  private constructor(master: ChildProcess, port: number) {
    this.#master = master;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.#exited = new Promise((resolve) => {
      master.once('exit', (code, by) => resolve(code ?? by));
    });
  }

  /**
   * Starts the app of a folder by a file that calls Egg's `startCluster`.
   *
   * Resolves when it serves; rejects with all it printed when it ends before that.
   */
  static async start(
    dir: string,
    { file, env = 'prod', signal }: { file: string; env?: string; signal: AbortSignal },
  ): Promise<Cluster> {
    const port = await freePort();
    const master = spawn(process.execPath, [file], {
      cwd: dir,
      signal,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // Nothing of the test's own environment: it says how to run TypeScript, and that this is a test.
      env: { PATH: process.env.PATH, HOME: dir, NODE_ENV: 'production', EGG_SERVER_ENV: env, PORT: String(port) },
    });
    // How it ends is told by 'exit'; this is the signal, which ends it after a test that failed.
    master.on('error', () => {});
    let printed = '';
    for (const output of [master.stdout, master.stderr]) {
      output?.setEncoding('utf8').on('data', (text: string) => (printed += text));
    }
    const cluster = new Cluster(master, port);
    const ready = new Promise<void>((resolve) => {
      master.on('message', ({ action }: { action?: string }) => {
        if (action === 'egg-ready') resolve();
      });
    });
    // 'close', not 'exit': then all that it printed has been read.
    const closed = once(master, 'close').then(() => {
      throw new Error(`the app ended before it was ready:\n${printed}`);
    });
    await Promise.race([ready, closed]);
    return cluster;
  }

  /** Asks the app to end, as a process manager does; resolves with how it ended, and after how many ms. */
  async stop(): Promise<{ status: number | string | null; ms: number }> {
    const startedAt = performance.now();
    this.#master.kill('SIGTERM');
    const status = await this.#exited;
    return { status, ms: performance.now() - startedAt };
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
