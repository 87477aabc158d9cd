import { Program } from './program';

/** What came at the clients during a run; times in ms. */
export interface Received {
  readonly deliveries: number;
  readonly expected: number;
  /** Numbers that were skipped. */
  readonly lost: number;
  /** Numbers that came twice, or after a higher one. */
  readonly late: number;
  /** Messages that were not whole. */
  readonly torn: number;
  /** What had not come when nothing came any more. */
  readonly missing: number;
  /** Connections that the server ended. */
  readonly dropped: number;
  readonly bytes: number;
  readonly reads: number;
  /** From the first delivery to the last. */
  readonly seconds: number;
  /** CPU that the clients took, and its share of the time. */
  readonly cpu: number;
  readonly busy: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  /** Of each message, until the last client had it. */
  readonly lastP50: number;
  readonly lastP99: number;
  readonly lastMax: number;
}

/** What to open. */
export interface Opening {
  readonly clients: number;
  /** Keys that each asks for by numbers of its own; 0: all ask for `k`. */
  readonly keys?: number;
  /** Each n-th reads nothing. */
  readonly stalled?: number;
  /** Whether the server's head comes at once. */
  readonly head?: boolean;
  readonly lastEventId?: string;
  /** `/stream` unless said. */
  readonly path?: string;
}

// A server that falls silent for so long has lost something.
const SILENCE_S = 15;

const MOST_BUSY = 0.9;

/** The clients: one process with many connections, which checks each of them. */
export class Clients {
  readonly #program: Program;

  /** `program` is client.c, compiled, with what pins it to its core before it. */
  constructor(program: readonly string[], port: number, progress: string) {
    this.#program = new Program([...program, String(port), progress]);
  }

  /** Opens connections; resolves with the seconds that it took when each is open. */
  async open({ clients, keys = 0, stalled = 0, head = true, lastEventId, path = '/stream' }: Opening): Promise<number> {
    const id = lastEventId === undefined ? '' : ` id=${lastEventId}`;
    this.#program.say(
      `open clients=${clients} keys=${keys} stalled=${stalled} head=${Number(head)}${id} path=${path}?connectKey=k`,
    );
    const { open, refused, seconds } = await this.#program.next<{ open: number; refused: number; seconds: number }>(
      'open',
      120,
    );
    if (open !== clients) throw new Error(`${open} connections of ${clients} are open, ${refused} were refused`);
    return seconds;
  }

  /** Expects messages; resolves when it does, with a promise of what came. */
  async expect(
    run: { clients: number; messages: number; size: number },
    silence = SILENCE_S,
  ): Promise<{ received: Promise<Received> }> {
    const { clients, messages, size } = run;
    this.#program.say(`run messages=${messages} size=${size} timeout=${silence} clients=${clients}`);
    await this.#program.next('ready', 30);
    const received = this.#program.next<Received>('deliveries', 300);
    // Whoever fails before they await it says why.
    received.catch(() => undefined);
    return { received };
  }

  /** Closes all connections. */
  async close(): Promise<void> {
    this.#program.say('close');
    await this.#program.next('closed', 30);
  }

  async stop(): Promise<void> {
    await this.#program.stop();
  }
}

/** What was not as it must be. */
export function faultsOf({ lost, late, torn, missing, dropped }: Received): string[] {
  const faults = Object.entries({ lost, late, torn, missing, dropped }).filter(([, count]) => count > 0);
  return faults.map(([what, count]) => `${count} ${what}`);
}

/** That, and what makes a figure doubtful. */
export function problemsOf(received: Received): string[] {
  // Then the clients were measured, not the server.
  const isBusy = received.busy > MOST_BUSY;
  return [...faultsOf(received), ...(isBusy ? [`clients ${Math.round(received.busy * 100)} % busy`] : [])];
}
