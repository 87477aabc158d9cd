import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { eventually } from './eventually';
import { freePort } from './free_port';
import { descendantsOf } from './processes';
import { findProgram } from './program';
import { blocksOf } from './docs';

const NGINX = { title: 'nginx', names: ['nginx'], debian: 'nginx' };
const TLS = path.join(__dirname, '../fixtures/tls');
const PAGE = 'docs/production.md';
const CONNECT_MS = 2_000;

/** A change of the configuration: a text that stands in it once, and what to write in its place. */
export type Change = readonly [text: string, instead: string];

/** An nginx of a test's own, configured with the text of the docs. */
export class Nginx {
  readonly port: number;
  /** The certificate that it shows. */
  readonly ca = readFileSync(path.join(TLS, 'cert.pem'));
  readonly #program: string;
  readonly #dir = mkdtempSync(path.join(tmpdir(), 'egg-sse-nginx-'));
  #process: ChildProcess | undefined;
  #printed = '';

  private constructor(program: string, port: number) {
    this.#program = program;
    this.port = port;
  }

  /** Starts one before an app on a port; resolves with `undefined` where there is no nginx, and what it is for is to be skipped. */
  static async start(skipped: string, appPort: number, changes: readonly Change[] = []): Promise<Nginx | undefined> {
    const program = findProgram(NGINX, skipped);
    if (program === undefined) return undefined;
    const nginx = new Nginx(program, await freePort());
    nginx.#configure(appPort, changes);
    await nginx.#run();
    return nginx;
  }

  get url(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  /** How each request that is over came: its protocol, the connection it came on, its method, its path with the query, and the status. */
  get log(): string[] {
    return readFileSync(path.join(this.#dir, 'access.log'), 'utf8').split('\n').slice(0, -1);
  }

  /** The pids of its processes that serve. */
  workers(): number[] {
    return descendantsOf(this.#process!.pid!).map(({ pid }) => pid);
  }

  /** Reads a configuration anew, as `nginx -s reload` does; those who are served stay with the old processes. */
  reload(appPort: number, changes: readonly Change[] = []): void {
    this.#configure(appPort, changes);
    this.#process!.kill('SIGHUP');
  }

  async stop(): Promise<void> {
    const nginx = this.#process!;
    if (nginx.exitCode === null && nginx.signalCode === null) {
      const exited = once(nginx, 'exit');
      nginx.kill('SIGTERM');
      await exited;
    }
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** The text of the docs, but for where things are, and with all that a system's own configuration adds to it at worst. */
  #configure(appPort: number, changes: readonly Change[]): void {
    const [block, ...others] = blocksOf(PAGE).filter(({ language }) => language === 'nginx');
    if (block === undefined || others.length > 0) throw new Error(`${PAGE} needs one nginx.conf`);
    const places: Change[] = [
      ['listen 443 ', `listen 127.0.0.1:${this.port} `],
      ['127.0.0.1:7001', `127.0.0.1:${appPort}`],
      ['/etc/nginx/example.com.pem', path.join(TLS, 'cert.pem')],
      ['/etc/nginx/example.com.key', path.join(TLS, 'key.pem')],
      ['\nhttp {\n', `\nhttp {\n${this.#additions()}`],
    ];
    const text = [...places, ...changes].reduce(replaceOnce, block.code);
    writeFileSync(path.join(this.#dir, 'nginx.conf'), text);
  }

  #additions(): string {
    const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path tmp;`);
    return `
      log_format test '$server_protocol $connection $request_method $request_uri $status';
      access_log access.log test;
      gzip on;
      gzip_types text/event-stream application/json;
      gzip_proxied any;
      gzip_min_length 0;
      ${folders.join('\n')}
    `;
  }

  async #run(): Promise<void> {
    mkdirSync(path.join(this.#dir, 'tmp'));
    // Its processes would else lose the right to read that folder.
    const user = process.getuid?.() === 0 ? 'user root;' : '';
    const directives = `daemon off; pid nginx.pid; error_log stderr notice; ${user}`;
    const nginx = spawn(this.#program, ['-p', this.#dir, '-c', 'nginx.conf', '-g', directives], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process = nginx;
    for (const output of [nginx.stdout, nginx.stderr]) {
      output.setEncoding('utf8').on('data', (text: string) => (this.#printed += text));
    }
    let isOver = false;
    nginx.once('close', () => (isOver = true));
    await eventually(async () => isOver || (await isOpen(this.port)), 'nginx listens or has ended');
    if (!isOver) return;
    rmSync(this.#dir, { recursive: true, force: true });
    throw new Error(`nginx did not start:\n${this.#printed}`);
  }
}

function replaceOnce(text: string, [part, instead]: Change): string {
  if (text.split(part).length !== 2) throw new Error(`the nginx.conf of ${PAGE} does not have "${part}" once`);
  return text.replace(part, () => instead);
}

async function isOpen(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1', timeout: CONNECT_MS });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
