import { Clients, faultsOf, problemsOf, type Opening, type Received } from './clients';
import { Server, type Publishing, type ServerName, type ServerOptions, type Workshop } from './server';

/** What is measured once: figures by name, and what was wrong. */
export interface Measured {
  readonly figures: Readonly<Record<string, number>>;
  readonly problems: readonly string[];
}

/** What a run took. */
export interface Run {
  readonly received: Received;
  /** Seconds of CPU of the processes that hold the connections, and of all of the server's. */
  readonly cpu: number;
  readonly cpuOfAll: number;
  readonly messages: number;
}

// A publisher may be so many messages ahead of the clients, and so many bytes of them: enough for a server that writes many
// messages at once, and a bound for one that is faster than its clients.
const AHEAD_MESSAGES = 500;
const AHEAD_BYTES = 4e9;
const AHEAD_OF_KEYS = 10_000;

// Runs grow until one takes most of the time that was asked for; more than this is no better.
const ENOUGH = 0.6;
const GROWTH = 8;

/** A server and its clients. */
export class Session {
  readonly server: Server;
  readonly clients: Clients;
  #open = 0;
  #reading = 0;

  private constructor(server: Server, clients: Clients) {
    this.server = server;
    this.clients = clients;
  }

  /** Starts both, and ends both when `use` is through. */
  static async with<T>(
    name: ServerName,
    workshop: Workshop & { readonly client: readonly string[] },
    options: ServerOptions,
    use: (session: Session) => Promise<T>,
  ): Promise<T> {
    const server = await Server.start(name, workshop, options);
    try {
      const clients = new Clients(workshop.client, server.port, server.progress);
      try {
        return await use(new Session(server, clients));
      } finally {
        await clients.stop();
      }
    } finally {
      await server.stop();
    }
  }

  /** Opens connections in place of those that are open. */
  async open(opening: Opening): Promise<void> {
    if (this.#open > 0) await this.close();
    this.#open = opening.clients;
    this.#reading = opening.clients - (opening.stalled ? Math.ceil(opening.clients / opening.stalled) : 0);
    // The original sends no head before the first message.
    const { name } = this.server;
    const head = name !== 'original';
    await this.clients.open({ ...opening, head });
    if (!head) await this.server.has(opening.clients);
  }

  /** Closes all connections; resolves when the server has noticed. */
  async close(): Promise<void> {
    await this.clients.close();
    this.#open = 0;
    await this.server.hasNone();
  }

  /** Publishes to all, or with `keys` to one client each, and waits until everything has come. */
  async run(publishing: Omit<Publishing, 'per' | 'streams'>): Promise<Run> {
    const { count, size, keys = 0, burst = 1 } = publishing;
    const per = keys > 0 ? 1 : this.#reading;
    const fits = Math.max(1, Math.floor(AHEAD_BYTES / (per * size)));
    const ahead = Math.max(burst, Math.min(keys > 0 ? AHEAD_OF_KEYS : AHEAD_MESSAGES, fits));
    const each = keys > 0 ? count / this.#reading : count;
    const { received } = await this.clients.expect({ clients: this.#reading, messages: each, size });
    const before = this.server.cpu;
    await this.server.publish({ ahead, ...publishing, per, streams: this.#reading });
    const got = await received;
    const { workers, all } = this.server.cpu;
    return { received: got, cpu: workers - before.workers, cpuOfAll: all - before.all, messages: count };
  }

  /** Runs of growing length, until one takes about so many seconds of CPU; the earlier ones warm the server up. */
  async runFor(seconds: number, publishing: Omit<Publishing, 'per' | 'streams' | 'count'>, unit = 1): Promise<Run> {
    const { keys = 0 } = publishing;
    let count = unit * Math.max(1, Math.round(40_000 / ((keys > 0 ? 1 : this.#reading) * unit)));
    for (let runs = 1; ; runs++) {
      const run = await this.run({ ...publishing, count });
      if (faultsOf(run.received).length > 0 || (runs > 1 && run.cpu > seconds * ENOUGH)) return run;
      const factor = Math.min(GROWTH, Math.max(1, seconds / run.cpu));
      count = unit * Math.ceil((count * factor) / unit);
    }
  }
}

/** The figures that every run has. */
export function measure({ received, cpu, cpuOfAll, messages }: Run): Measured {
  const { deliveries, p50, p99, p999, lastP50, lastP99, busy, seconds, reads } = received;
  return {
    figures: {
      perCpuSecond: deliveries / cpu,
      cpuMicroseconds: (cpu / deliveries) * 1e6,
      allCpuMicroseconds: (cpuOfAll / deliveries) * 1e6,
      perSecond: deliveries / seconds,
      messages,
      deliveriesPerRead: deliveries / reads,
      p50,
      p99,
      p999,
      lastP50,
      lastP99,
      clientsBusy: busy,
    },
    problems: problemsOf(received),
  };
}
