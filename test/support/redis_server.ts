import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Redis from 'ioredis';
import { eventually } from './eventually';
import { freePort } from './free_port';
import { findProgram } from './program';

const REDIS = { title: 'redis-server', names: ['redis-server'], debian: 'redis-server' };

// The nodes of a Redis Cluster listen to each other so far above their port.
const CLUSTER_BUS = 10_000;

/** Whether there is a redis-server to start; if not, what it is for is to be skipped. */
export function hasRedis(skipped: string): boolean {
  return findProgram(REDIS, skipped) !== undefined;
}

/** A suite of what needs a redis-server: it is skipped where there is none. */
export function describeWithRedis(title: string, body: () => void): void {
  (hasRedis(title) ? describe : describe.skip)(title, body);
}

/** A Redis server of a test's own, on a free port. */
export class RedisServer {
  readonly port: number;
  readonly #dir: string;
  readonly #args: readonly string[];
  #process: ChildProcess | undefined;
  #admin: Redis | undefined;

  private constructor(port: number, args: readonly string[]) {
    this.port = port;
    this.#args = args;
    this.#dir = mkdtempSync(join(tmpdir(), 'egg-sse-redis-'));
  }

  /** Starts one, which keeps nothing on disk unless `args` say so. */
  static async start(args: readonly string[] = [], port?: number): Promise<RedisServer> {
    if (!hasRedis('this test')) throw new Error('there is no redis-server');
    const room = args.includes('--cluster-enabled') ? CLUSTER_BUS : 0;
    const server = new RedisServer(port ?? (await freePort(room)), args);
    await server.restart();
    return server;
  }

  /** A Sentinel that watches a server, as `mymaster`. */
  static async startSentinel(master: RedisServer): Promise<RedisServer> {
    const sentinel = new RedisServer(await freePort(), ['--sentinel']);
    const monitor = `sentinel monitor mymaster 127.0.0.1 ${master.port} 1\n`;
    writeFileSync(join(sentinel.path, 'sentinel.conf'), `port ${sentinel.port}\nbind 127.0.0.1\n${monitor}`);
    await sentinel.restart();
    return sentinel;
  }

  /** Its folder. */
  get path(): string {
    return this.#dir;
  }

  get options(): { host: string; port: number } {
    return { host: '127.0.0.1', port: this.port };
  }

  /** Commands to it. */
  get admin(): Redis {
    if (this.#admin === undefined) {
      this.#admin = new Redis({ ...this.options, maxRetriesPerRequest: null, retryStrategy: () => 20 });
      this.#admin.on('error', () => undefined);
    }
    return this.#admin;
  }

  get pid(): number {
    return this.#process!.pid!;
  }

  /** Starts it again, on the same port, with what it kept on disk. */
  async restart(): Promise<void> {
    const args = this.#args.includes('--sentinel')
      ? ['sentinel.conf', ...this.#args]
      : ['--port', String(this.port), '--bind', '127.0.0.1', '--save', '', ...this.#args];
    const server = spawn('redis-server', args, { cwd: this.#dir, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#process = server;
    let printed = '';
    for (const output of [server.stdout, server.stderr]) {
      output.setEncoding('utf8').on('data', (text: string) => (printed += text));
    }
    let failure: Error | undefined;
    server.once('error', (error) => (failure = error));
    await eventually(
      () =>
        /Ready to accept connections|Sentinel ID is/.test(printed) || server.exitCode !== null || failure !== undefined,
      'Redis is ready or has ended',
    );
    if (failure !== undefined || server.exitCode !== null)
      throw new Error(`redis-server did not start:\n${printed}`, { cause: failure });
  }

  /** Kills it, as a machine does that dies. */
  async kill(): Promise<void> {
    const server = this.#process;
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
    const exited = once(server, 'exit');
    server.kill('SIGKILL');
    await exited;
  }

  /** Stops it for a while: it lives, but does nothing until it is continued. */
  pause(): void {
    process.kill(this.pid, 'SIGSTOP');
  }

  continue(): void {
    process.kill(this.pid, 'SIGCONT');
  }

  async stop(): Promise<void> {
    this.#admin?.disconnect();
    await this.kill();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
