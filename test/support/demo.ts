import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { environment } from './environment';
import { descendantsOf, type Process } from './processes';
import { freePort } from './free_port';

const ROOT = path.join(__dirname, '../..');
const START_MS = 60_000;
const STOP_MS = 20_000;

/** How the demo is started: on one host, or on two. */
const COMMANDS = {
  start: [process.execPath, '--require', 'tsx/cjs', 'example/proof/start.ts'],
  'start:redis': ['npm', 'run', 'start:redis'],
} as const;

/** The demo app, in processes of its own. */
export class Demo {
  readonly url: string;
  readonly port: number;
  readonly #master: ChildProcess;
  readonly #printed: readonly string[];
  readonly #over: Promise<unknown>;

  private constructor(master: ChildProcess, url: string, printed: readonly string[], over: Promise<unknown>) {
    this.#master = master;
    this.#printed = printed;
    this.#over = over;
    this.url = url;
    this.port = Number(new URL(url).port);
  }

  /** Starts it on a port, a free one by default (0), and resolves once it says that it is ready. */
  static async start(asked = 0, script: keyof typeof COMMANDS = 'start', env: NodeJS.ProcessEnv = {}): Promise<Demo> {
    const [command, ...args] = COMMANDS[script];
    // A second host is on the next port.
    const port = asked || (await freePort(1));
    const master = spawn(command, args, {
      cwd: ROOT,
      env: { ...environment(), ...env, PORT: String(port) },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A process group of its own: killing it reaches the workers and what they started, and nobody else.
      detached: true,
    });
    leaveNothingBehind(master);
    const printed: string[] = [];
    // Unlike 'exit', it comes when all that was printed has been read.
    const over = once(master, 'close');
    try {
      return new Demo(master, await readyUrl(master, printed), printed, over);
    } catch (error) {
      killGroup(master);
      throw error;
    }
  }

  /** All of its processes, now. */
  get processes(): Process[] {
    return descendantsOf(this.#master.pid!);
  }

  /** Ends it as Ctrl-C in a terminal does, which goes to the whole group; resolves once it is gone. */
  async interrupt(): Promise<void> {
    process.kill(-this.#master.pid!, 'SIGINT');
    await this.#over;
  }

  /** Resolves with all that it printed once it has ended by itself. */
  async ended(): Promise<string> {
    await this.#over;
    return this.#printed.join('\n');
  }

  /** Ends it as a process manager does, and resolves once it is gone; throws if it takes too long. */
  async stop(): Promise<void> {
    if (isGone(this.#master)) return;
    const gone = once(this.#master, 'exit', { signal: AbortSignal.timeout(STOP_MS) });
    this.#master.kill('SIGTERM');
    try {
      await gone;
    } finally {
      killGroup(this.#master);
    }
  }

  /** Kills all of its processes at once, as a power cut does. */
  async kill(): Promise<void> {
    if (isGone(this.#master)) return;
    const gone = once(this.#master, 'exit');
    killGroup(this.#master);
    await gone;
  }
}

/** Reads what it prints until it says where it is. */
async function readyUrl(master: ChildProcess, printed: string[]): Promise<string> {
  const timeout = AbortSignal.timeout(START_MS);
  const ready = new Promise<string>((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`the demo ${why}; it printed:\n${printed.join('\n')}`));
    for (const stream of [master.stdout!, master.stderr!]) {
      createInterface({ input: stream }).on('line', (line) => {
        printed.push(line);
        const url = /^egg-sse demo.*: open (http:\S+)$/.exec(line)?.[1];
        if (url !== undefined) resolve(url);
      });
    }
    master.once('close', (code, signal) => fail(`ended with ${signal ?? `code ${code}`} before it was ready`));
    timeout.addEventListener('abort', () => fail(`was not ready after ${START_MS} ms`));
  });
  return ready;
}

/** A test run that dies takes the demo with it. */
function leaveNothingBehind(master: ChildProcess): void {
  const kill = () => killGroup(master);
  process.once('exit', kill);
  master.once('exit', () => process.off('exit', kill));
}

function killGroup(master: ChildProcess): void {
  if (master.pid === undefined) return;
  try {
    process.kill(-master.pid, 'SIGKILL');
  } catch (error) {
    // Everyone in it has ended already.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function isGone(master: ChildProcess): boolean {
  return master.exitCode !== null || master.signalCode !== null;
}
