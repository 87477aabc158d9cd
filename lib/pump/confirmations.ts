import { within } from '../base/promises';
import type { Connection } from '../connection/connection';
import type { Pools } from '../connection/pools';
import { hasReceived } from '../log/reader';

/** An entry of the log. */
interface Message {
  readonly offset: number;
  readonly keys: readonly string[];
}

/** A message whose publisher asks for the number of connections that receive it. */
interface Confirmation {
  /** Its entry in this process's log; undefined until it arrives. */
  message: Message | undefined;
  /** Whether the pump has come past it: connections that are not behind have received it. */
  isPassed: boolean;
  /** The number of connections that have received it. */
  received: number;
  /** The connections that are to receive it and have not. */
  readonly waiting: Set<Connection>;
  readonly done: Promise<void>;
  finish(): void;
}

// Less than a process that asks all workers waits for their answers.
const PATIENCE_MS = 800;
const LOOK_AGAIN_MS = 20;
// A publisher calls `count()` right after its message has a place, or not at all.
const FORGET_MS = 3_000;

/**
 * Counts, for a publisher that asks, the connections that received its message: to whose socket it was written.
 *
 * Other messages cost nothing. It looks when the pump has come past a message, and again for connections that are
 * behind.
 */
export class Confirmations {
  readonly #pools: Pools;
  readonly #confirmations = new Map<string, Confirmation>();
  /** The messages that have arrived and that the pump has not come past. */
  readonly #ahead = new Set<Confirmation>();

  constructor(pools: Pools) {
    this.#pools = pools;
  }

  /** Notes which connections are to receive a message that was just appended; `name`: its publisher's name for it. */
  arrive(name: string, message: Message): void {
    const confirmation = this.#of(name);
    confirmation.message = message;
    for (const connection of this.#pools.ofAny(message.keys)) {
      const { placed, keys } = connection.reader;
      if (placed && message.keys.some((key) => keys.includes(key))) confirmation.waiting.add(connection);
    }
    this.#ahead.add(confirmation);
  }

  /** Says that the pump has come past this offset: connections that are not behind have all of the log through it. */
  pass(through: number): void {
    for (const confirmation of this.#ahead) {
      if (confirmation.message!.offset > through) continue;
      this.#ahead.delete(confirmation);
      confirmation.isPassed = true;
      this.#look(confirmation);
    }
  }

  /** The number of connections that received a message, once all have, or after 800 ms; null: it has not arrived. */
  async count(name: string): Promise<number | null> {
    const confirmation = this.#of(name);
    await within(PATIENCE_MS, confirmation.done, () => undefined);
    this.#confirmations.delete(name);
    confirmation.finish();
    return confirmation.isPassed ? confirmation.received : null;
  }

  /** The confirmation of a name. The question may come before the message: whichever is first makes it. */
  #of(name: string): Confirmation {
    const known = this.#confirmations.get(name);
    if (known !== undefined) return known;
    const { promise, resolve } = withResolver();
    const confirmation: Confirmation = {
      message: undefined,
      isPassed: false,
      received: 0,
      waiting: new Set(),
      done: promise,
      finish: resolve,
    };
    this.#confirmations.set(name, confirmation);
    setTimeout(() => this.#confirmations.delete(name), FORGET_MS).unref();
    void promise.then(() => confirmation.waiting.clear());
    return confirmation;
  }

  #look(confirmation: Confirmation): void {
    const { message, waiting } = confirmation;
    for (const connection of waiting) {
      const received = hasReceived(connection.reader, message!);
      if (received) confirmation.received++;
      if (received || !this.#pools.all.has(connection)) waiting.delete(connection);
    }
    if (waiting.size === 0) confirmation.finish();
    else setTimeout(() => this.#look(confirmation), LOOK_AGAIN_MS).unref();
  }
}

function withResolver(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((given) => (resolve = given));
  return { promise, resolve };
}
