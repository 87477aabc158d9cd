import assert from 'node:assert/strict';
import type { Reach } from '../../lib/message/reach';
import { eventually } from './eventually';
import type { Worker } from './fixture';
import { Stream } from './stream';

/** Plugins for a cluster whose workers and agent publish for every cause there is. */
export const CAUSES_PLUGIN = { causes: 'causes' } as const;

/** An app with that plugin, and `own_port`. */
interface CausesApp {
  allWorkers(): Promise<Worker[]>;
  workers(): Worker[];
  read(name: string): string;
}

/** A row of the table of who gets a message, by the code that publishes it. */
export interface Row {
  /** As the fixture `causes` knows it. */
  readonly cause: string;
  /** How many copies of the code run on a host. */
  readonly runs: 'once' | 'in every worker';
  readonly reach: Reach;
}

const row = (runs: Row['runs'], reach: Reach, ...causes: string[]): Row[] =>
  causes.map((cause) => ({ cause, runs, reach }));

/** The table. */
export const ROWS: readonly Row[] = [
  ...row(
    'once',
    'everywhere',
    'a controller',
    'a timer of a request',
    'the end of an answer',
    'ctx.runInBackground() in a request',
    'app.runInBackground() in a request',
  ),
  ...row(
    'once',
    'host',
    "a schedule of type 'worker'",
    "a timer of a schedule of type 'worker'",
    "app.runInBackground() in a schedule of type 'worker'",
    'the agent',
  ),
  ...row(
    'in every worker',
    'process',
    "a schedule of type 'all'",
    "app.runInBackground() in a schedule of type 'all'",
    'a schedule of a custom type',
    'a messenger listener',
    'a messenger listener that the agent calls',
    'an anonymous context in a messenger listener',
    'app.runInBackground() in a messenger listener',
    'app.runInAnonymousContextScope() in a messenger listener',
    'a timer of boot',
  ),
];

/** What a publisher was told. */
export interface CausedReceipt {
  readonly pid: number;
  readonly data: string;
  readonly id: string;
  readonly reach: Reach;
}

// Each message has data of its own: a worker that was started again may find an old order.
let orders = 0;

/** One client on every worker of an app, all of them with the same key. */
export class Audience {
  /** By their workers' pids. */
  readonly clients: ReadonlyMap<number, Stream>;
  readonly #app: CausesApp;
  /** What was published last. */
  lastOrder = { data: '' };

  private constructor(app: CausesApp, clients: ReadonlyMap<number, Stream>) {
    this.#app = app;
    this.clients = clients;
  }

  /** Resolves when all of them are there. */
  static async of(app: CausesApp): Promise<Audience> {
    const clients = new Map<number, Stream>();
    for (const { pid, url } of await app.allWorkers()) {
      const stream = await Stream.open(`${url}/stream?connectKey=a`);
      clients.set(pid, await stream.until(({ events }) => events.length > 0));
    }
    return new Audience(app, clients);
  }

  /**
   * Lets a cause publish, and resolves when all of its code has done so and every client got all there is to get: with
   * the receipts, and with what each client got, in the order of `clients`.
   */
  async hear(
    cause: string,
    runs: Row['runs'] = 'once',
    reach?: Reach,
  ): Promise<{ receipts: CausedReceipt[]; reaches: Reach[]; events: Stream['messages'][]; copies: number[] }> {
    const data = `${cause}, ${++orders}`;
    this.lastOrder = { data };
    await this.#order(cause, data, reach);
    const publishers = runs === 'once' ? 1 : this.clients.size;
    await eventually(() => this.#receipts(data).length >= publishers, `${cause} has published ${publishers} times`);

    // It goes to everyone, behind all that was published until now.
    const end = `the end of ${data}`;
    await this.#order('a controller', end, 'everywhere');
    const clients = [...this.clients.values()];
    await Promise.all(clients.map((client) => client.until(() => client.data.includes(end))));

    const receipts = this.#receipts(data);
    const events = clients.map(({ messages }) => messages.filter((event) => event.data === data));
    return {
      receipts,
      reaches: receipts.map(({ reach }) => reach),
      events,
      copies: events.map(({ length }) => length),
    };
  }

  /** Each client gets exactly one copy, with the id that the receipt has, and the receipt says how far it goes. */
  async hearsOnce({ cause, runs, reach }: Row): Promise<void> {
    const { receipts, reaches, events, copies } = await this.hear(cause, runs);
    const workers = this.clients.size;
    const publishers = runs === 'once' ? 1 : workers;
    assert.deepEqual(
      reaches,
      Array.from({ length: publishers }, () => reach),
      JSON.stringify(receipts),
    );
    assert.deepEqual(
      copies,
      Array.from({ length: workers }, () => 1),
      'how many copies each client got',
    );
    for (const event of events.flat()) {
      assert.equal(event.event, 'caused');
      // Without a place in the order that all workers share, it has no id.
      assert.equal(event.id !== undefined, reach !== 'process' || workers === 1, `its id is ${event.id}`);
      for (const { id } of receipts) assert.equal(id, event.id ?? '', 'the receipt has another id');
    }
  }

  close(): void {
    for (const client of this.clients.values()) client.close();
  }

  async #order(cause: string, data: string, reach?: Reach): Promise<void> {
    const workers = this.#app.workers();
    // Another worker each time.
    const worker = workers[orders % workers.length];
    const query = String(new URLSearchParams({ cause, data, ...(reach === undefined ? {} : { reach }) }));
    const response = await fetch(`${worker!.url}/cause?${query}`, { headers: { Connection: 'close' } });
    assert.equal(response.status, 200, await response.text());
  }

  #receipts(data: string): CausedReceipt[] {
    return this.#app
      .read('receipts')
      .split('\n')
      .filter((line) => line.endsWith('}'))
      .map((line) => JSON.parse(line) as CausedReceipt)
      .filter((receipt) => receipt.data === data);
  }
}
