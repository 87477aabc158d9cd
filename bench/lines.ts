import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** A program that is spoken with in lines: what it says is JSON. It ends when its input does. */
export class Program {
  readonly #process: ChildProcess;
  readonly #said: unknown[] = [];
  #listener: ((line: unknown) => void) | undefined;
  #fail: ((error: Error) => void) | undefined;
  #printed = '';
  #ended = false;

  constructor([command, ...args]: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.#process = spawn(command!, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    // It may end while it is being written to: then `next` says so.
    this.#process.stdin!.on('error', () => undefined);
    this.#process.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#printed = (this.#printed + text).slice(-10_000);
    });
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

  /** The next object it says; rejects when it ends, or says nothing for so long. */
  next<T>(seconds: number): Promise<T> {
    if (this.#said.length > 0) return Promise.resolve(this.#said.shift() as T);
    if (this.#ended) return Promise.reject(new Error(`it has ended: ${this.#printed}`));
    return new Promise<T>((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#listener = this.#fail = undefined;
      };
      this.#listener = (line) => {
        done();
        resolve(line as T);
      };
      this.#fail = (error) => {
        done();
        reject(error);
      };
      const silent = new Error(`${this.#process.spawnargs.join(' ')} said nothing for ${seconds} s\n${this.#printed}`);
      const timer = setTimeout(() => this.#fail?.(silent), seconds * 1000);
    });
  }

  /** Closes its input and waits until it has ended; kills it after 10 s. */
  async stop(): Promise<void> {
    if (this.#ended) return;
    const closed = once(this.#process, 'close');
    this.#process.stdin!.end();
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), 10_000);
    await closed;
    clearTimeout(timer);
  }

  #hear(line: string): void {
    // Others may print on a server's output.
    if (!line.startsWith('{')) {
      this.#printed = `${this.#printed}${line}\n`.slice(-10_000);
      return;
    }
    const said: unknown = JSON.parse(line);
    if (this.#listener === undefined) this.#said.push(said);
    else this.#listener(said);
  }

  #end(error: Error): void {
    this.#ended = true;
    this.#fail?.(error);
  }
}
