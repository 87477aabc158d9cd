import type { Connection } from '../connection/connection';
import type { Pools } from '../connection/pools';
import { hasTaken } from '../log/reader';
import { within } from '../base/promises';

/** What an entry of the log is to those who are to take it. */
interface Message {
  readonly offset: number;
  readonly keys: readonly string[];
}

/** A message whose publisher wants to know who took it. */
interface Confirmation {
  /** What it is in this process's log; undefined as long as it has not arrived. */
  message: Message | undefined;
  settled: boolean;
  taken: number;
  /** Those who are to take it and have not. */
  readonly waiting: Set<Connection>;
  readonly done: Promise<void>;
  finish(): void;
}

// Less than what asks all workers waits for their answers.
const PATIENCE_MS = 800;
const LOOK_AGAIN_MS = 20;
// A publisher asks for the count right after its message has a place, or not at all.
const KEPT_MS = 3_000;

/**
 * Counts, for a publisher who asks, the connections that took its message: to whose socket it was written.
 *
 * Others cost nothing: it looks when the pump has come past such a message, and again for those who lag behind.
 */
export class Confirmations {
  readonly #pools: Pools;
  readonly #confirmations = new Map<string, Confirmation>();
  /** Those that the pump has not come past. */
  readonly #unsettled = new Set<Confirmation>();

  constructor(pools: Pools) {
    this.#pools = pools;
  }

  /** Notes who is to take a message that has just been appended, by the name that its publisher has given it. */
  arrive(name: string, message: Message): void {
    const confirmation = this.#of(name);
    confirmation.message = message;
    for (const connection of this.#pools.ofAny(message.keys)) {
      const { placed, keys } = connection.reader;
      if (placed && message.keys.some((key) => keys.includes(key))) confirmation.waiting.add(connection);
    }
    this.#unsettled.add(confirmation);
  }

  /** Says that everyone who keeps up has all of the log through this offset. */
  settle(through: number): void {
    for (const confirmation of this.#unsettled) {
      if (confirmation.message!.offset > through) continue;
      this.#unsettled.delete(confirmation);
      confirmation.settled = true;
      this.#look(confirmation);
    }
  }

  /** How many took a message, once all did who are to, or after 800 ms; null when it has not arrived by then. */
  async count(name: string): Promise<number | null> {
    const confirmation = this.#of(name);
    await within(PATIENCE_MS, confirmation.done, () => undefined);
    this.#confirmations.delete(name);
    confirmation.finish();
    return confirmation.settled ? confirmation.taken : null;
  }

  /** The question may come before the message. */
  #of(name: string): Confirmation {
    const known = this.#confirmations.get(name);
    if (known !== undefined) return known;
    const { promise, resolve } = withResolver();
    const confirmation: Confirmation = {
      message: undefined,
      settled: false,
      taken: 0,
      waiting: new Set(),
      done: promise,
      finish: resolve,
    };
    this.#confirmations.set(name, confirmation);
    setTimeout(() => this.#confirmations.delete(name), KEPT_MS).unref();
    void promise.then(() => confirmation.waiting.clear());
    return confirmation;
  }

  #look(confirmation: Confirmation): void {
    const { message, waiting } = confirmation;
    for (const connection of waiting) {
      const taken = hasTaken(connection.reader, message!);
      if (taken) confirmation.taken++;
      if (taken || !this.#pools.all.has(connection)) waiting.delete(connection);
    }
    if (waiting.size === 0) confirmation.finish();
    else setTimeout(() => this.#look(confirmation), LOOK_AGAIN_MS).unref();
  }
}

function withResolver(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}
