import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

/** How clients are. */
export interface ClientsState {
  readonly opening: number;
  readonly open: number;
  /** Those that wait until it is time to come back. */
  readonly away: number;
  /** Those that do not have all messages yet. */
  readonly behind: number;
  /** Attempts that got no stream. */
  readonly refused: number;
  /** Attempts that got no answer within 60 s. */
  readonly unanswered: number;
  /** Streams that ended. */
  readonly dropped: number;
  readonly lost: number;
  readonly twice: number;
  readonly gaps: number;
  /** When the last of them opened its stream, in ns of `process.hrtime`. */
  readonly openedAt: number;
}

/** Programs of clients.c, each with an address and many clients of its own. */
export class Clients {
  readonly #programs: readonly ClientsProgram[];

  /** Starts programs, none with more than `most` clients, for a stream of a port of this machine. */
  constructor(file: string, { count, most, port, path }: { count: number; most: number; port: number; path: string }) {
    const programs = Math.ceil(count / most);
    this.#programs = Array.from({ length: programs }, (_, i) => {
      const share = Math.floor(((i + 1) * count) / programs) - Math.floor((i * count) / programs);
      return new ClientsProgram(spawnClients(file, [String(port), `127.0.1.${i + 1}`, path]), share);
    });
  }

  get programs(): number {
    return this.#programs.length;
  }

  /** Begins to open their streams. */
  async open(): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.ask(`open ${program.clients}`)));
  }

  /** How they are, all together; `messages` have been published. */
  async state(messages = 0): Promise<ClientsState> {
    const states = await Promise.all(
      this.#programs.map(async (program) => (await program.ask(`state ${messages}`)) as ClientsState),
    );
    const sum = (name: keyof ClientsState): number => states.reduce((total, state) => total + state[name], 0);
    return {
      opening: sum('opening'),
      open: sum('open'),
      away: sum('away'),
      behind: sum('behind'),
      refused: sum('refused'),
      unanswered: sum('unanswered'),
      dropped: sum('dropped'),
      lost: sum('lost'),
      twice: sum('twice'),
      gaps: sum('gaps'),
      openedAt: Math.max(...states.map(({ openedAt }) => openedAt)),
    };
  }

  /** How long a message took to each of those that have just had it, in ms, the shortest first. */
  async delays(number: number): Promise<number[]> {
    const delays = await Promise.all(
      this.#programs.map(async (program) => (await program.ask(`delays ${number}`)) as number[]),
    );
    return delays
      .flat()
      .map((us) => us / 1_000)
      .sort((a, b) => a - b);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.stop()));
  }
}

type Program = ChildProcessByStdio<Writable, Readable, null>;

function spawnClients(file: string, args: readonly string[]): Program {
  return spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
}

class ClientsProgram {
  readonly clients: number;
  readonly #program: Program;
  readonly #answers: ((answer: unknown) => void)[] = [];
  readonly #ended: Promise<never>;

  constructor(program: Program, clients: number) {
    this.#program = program;
    this.clients = clients;
    createInterface(program.stdout).on('line', (line) => this.#answers.shift()?.(JSON.parse(line)));
    this.#ended = once(program, 'exit').then(([status]) => {
      throw new Error(`the clients ended with ${status}`);
    });
    // It is told to whoever asks.
    this.#ended.catch(() => undefined);
    program.stdin.on('error', () => undefined);
  }

  async ask(command: string): Promise<unknown> {
    const answer = new Promise<unknown>((resolve) => this.#answers.push(resolve));
    this.#program.stdin.write(`${command}\n`);
    return Promise.race([answer, this.#ended]);
  }

  async stop(): Promise<void> {
    if (this.#program.exitCode !== null || this.#program.signalCode !== null) return;
    const exited = once(this.#program, 'exit');
    this.#program.stdin.end();
    await exited;
  }
}
