import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';

const ROOT = path.join(__dirname, '../..');
const START_MS = 60_000;
const STOP_MS = 20_000;

/** The demo app, in processes of its own, as `npm start` runs it. */
export class Demo {
  readonly url: string;
  readonly port: number;
  readonly #master: ChildProcess;

  private constructor(master: ChildProcess, url: string) {
    this.#master = master;
    this.url = url;
    this.port = Number(new URL(url).port);
  }

  /** Starts it on a port, a free one by default, and resolves once it says that it is ready. */
  static async start(port = 0): Promise<Demo> {
    const master = spawn(process.execPath, ['--require', 'tsx/cjs', 'example/start.ts'], {
      cwd: ROOT,
      env: { ...process.env, PORT: String(port) },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A process group of its own: killing it reaches the workers and what they started, and nobody else.
      detached: true,
    });
    leaveNothingBehind(master);
    try {
      return new Demo(master, await readyUrl(master));
    } catch (error) {
      killGroup(master);
      throw error;
    }
  }

  /** Ends it as Ctrl-C or a process manager does, and resolves once it is gone; throws if it takes too long. */
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
async function readyUrl(master: ChildProcess): Promise<string> {
  const printed: string[] = [];
  const timeout = AbortSignal.timeout(START_MS);
  const ready = new Promise<string>((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`the demo ${why}; it printed:\n${printed.join('\n')}`));
    for (const stream of [master.stdout!, master.stderr!]) {
      createInterface({ input: stream }).on('line', (line) => {
        printed.push(line);
        const url = /^egg-sse demo: open (http:\S+)$/.exec(line)?.[1];
        if (url !== undefined) resolve(url);
      });
    }
    master.once('exit', (code, signal) => fail(`ended with ${signal ?? `code ${code}`} before it was ready`));
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
