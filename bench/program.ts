import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

interface Waiter {
  readonly name: string;
  resolve(said: object): void;
  reject(error: Error): void;
}

// What it printed besides is kept for an error's text.
const PRINTED_CHARACTERS = 10_000;

/** A program that is spoken with in lines: what it says are objects, in JSON. It ends when its input does. */
export class Program {
  readonly #process: ChildProcess;
  readonly #said: object[] = [];
  readonly #waiters = new Set<Waiter>();
  #printed = '';
  #ended: Error | undefined;

  constructor([command, ...args]: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.#process = spawn(command!, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    // It may end while it is being written to: then `next` says so.
    this.#process.stdin!.on('error', () => undefined);
    this.#process.stderr!.setEncoding('utf8').on('data', (text: string) => this.#keep(text));
    createInterface({ input: this.#process.stdout! }).on('line', (line) => this.#hear(line));
    this.#process.once('error', (error) => this.#end(error));
    this.#process.once('close', () => this.#end(new Error(`${command} ${args.join(' ')} ended\n${this.#printed}`)));
  }

  get pid(): number {
    return this.#process.pid!;
  }

  say(line: string): void {
    this.#process.stdin!.write(`${line}\n`);
  }

  /** The next object it says that has a property `name`; rejects when it ends, or does not say so in so many seconds. */
  next<T>(name: string, seconds: number): Promise<T> {
    const at = this.#said.findIndex((said) => name in said);
    if (at >= 0) return Promise.resolve(this.#said.splice(at, 1)[0] as T);
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise<object>((resolve, reject) => {
      const waiter: Waiter = {
        name,
        resolve: (said) => {
          clearTimeout(timer);
          resolve(said);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      };
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter);
        const command = this.#process.spawnargs.join(' ');
        reject(new Error(`${command} did not say "${name}" in ${seconds} s\n${this.#printed}`));
      }, seconds * 1_000);
      this.#waiters.add(waiter);
    }) as Promise<T>;
  }

  /** Closes its input and waits until it has ended; kills it after 10 s. */
  async stop(): Promise<void> {
    if (this.#ended !== undefined) return;
    const closed = once(this.#process, 'close');
    this.#process.stdin!.end();
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), 10_000);
    await closed;
    clearTimeout(timer);
  }

  #hear(line: string): void {
    // Others may print on a server's output.
    if (!line.startsWith('{')) {
      this.#keep(`${line}\n`);
      return;
    }
    const said = JSON.parse(line) as object;
    for (const waiter of this.#waiters) {
      if (!(waiter.name in said)) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(said);
      return;
    }
    this.#said.push(said);
  }

  #keep(text: string): void {
    this.#printed = (this.#printed + text).slice(-PRINTED_CHARACTERS);
  }

  #end(error: Error): void {
    this.#ended ??= error;
    for (const waiter of this.#waiters) waiter.reject(this.#ended);
    this.#waiters.clear();
  }
}
