import { setTimeout as pause } from 'node:timers/promises';
import type { Act } from '../order/broker';

/** Mail that was taken from mailboxes, for all processes to hear of. */
export type TakeAct = Extract<Act, { readonly do: 'take' }>;

// Acts per ms. Each has a place in the order of every worker: a busy worker has ten a second, however much is taken.
const PER_MS = 0.01;
// Acts without a pause: mail that is told of late comes again when its worker dies, or when its page is reloaded.
const MAX_CREDIT = 20;
const PAUSE_MS = 100;

/**
 * Tells all other processes of the mail that connections of this one took: at once or, when there is much, together,
 * ten times a second. Tells again until that has its place in the order.
 */
export class TakenMail {
  readonly #publish: (act: TakeAct) => Promise<unknown>;
  #taken = new Map<string, string[]>();
  #told = new Map<string, string>();
  #sending = false;
  #credit = MAX_CREDIT;
  #creditAt = performance.now();
  #stopped = false;

  constructor(publish: (act: TakeAct) => Promise<unknown>) {
    this.#publish = publish;
  }

  /** Notes that a message was taken. */
  take(key: string, cursor: string): void {
    const cursors = this.#taken.get(key);
    if (cursors === undefined) this.#taken.set(key, [cursor]);
    else cursors.push(cursor);
    void this.#send();
  }

  /** Notes that a client was told of losses up to a place. */
  tell(key: string, cursor: string): void {
    this.#told.set(key, cursor);
    void this.#send();
  }

  /** Tells the rest, now. */
  stop(): void {
    this.#stopped = true;
    // A failure is not repeated: the process is going. Then some clients get some mail again.
    if (!this.#isEmpty) this.#publish(this.#next()).catch(() => undefined);
  }

  get #isEmpty(): boolean {
    return this.#taken.size === 0 && this.#told.size === 0;
  }

  async #send(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    // Mail that one turn takes is told together.
    await Promise.resolve();
    while (!this.#isEmpty && !this.#stopped) {
      if (!this.#pay()) {
        await pause(PAUSE_MS, undefined, { ref: false });
        continue;
      }
      const act = this.#next();
      try {
        await this.#publish(act);
      } catch {
        // The failure is in the log already: the broker waits long before it gives up, and says so.
        for (const { key, cursors } of act.taken) this.#taken.set(key, [...cursors, ...(this.#taken.get(key) ?? [])]);
        for (const { key, cursor } of act.told) if (!this.#told.has(key)) this.#told.set(key, cursor);
      }
    }
    this.#sending = false;
  }

  #pay(): boolean {
    const now = performance.now();
    this.#credit = Math.min(MAX_CREDIT, this.#credit + (now - this.#creditAt) * PER_MS);
    this.#creditAt = now;
    if (this.#credit < 1) return false;
    this.#credit--;
    return true;
  }

  #next(): TakeAct {
    const act: TakeAct = {
      do: 'take',
      taken: [...this.#taken].map(([key, cursors]) => ({ key, cursors })),
      told: [...this.#told].map(([key, cursor]) => ({ key, cursor })),
    };
    this.#taken = new Map();
    this.#told = new Map();
    return act;
  }
}
