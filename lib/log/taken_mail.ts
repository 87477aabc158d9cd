import { setTimeout as pause } from 'node:timers/promises';
import type { Act } from '../order/broker';

/** What was taken from mailboxes, for all to hear. */
export type TakeAct = Extract<Act, { readonly do: 'take' }>;

// Each is a place in the order for every worker: a busy one takes ten a second in the long run, whatever its clients read.
const PER_MS = 0.01;
// So many may follow each other at once: what is told late comes again when its worker dies, or its page is reloaded.
const MAX_CREDIT = 20;
const PAUSE_MS = 100;

/**
 * What this process's connections took from mailboxes, told to all others: at once or, when there is much, together, ten
 * times a second. Told again until it has its place in the order.
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

  /** Someone took a message. */
  take(key: string, cursor: string): void {
    const cursors = this.#taken.get(key);
    if (cursors === undefined) this.#taken.set(key, [cursor]);
    else cursors.push(cursor);
    void this.#send();
  }

  /** Someone was told of what is lost, up to a place. */
  tell(key: string, cursor: string): void {
    this.#told.set(key, cursor);
    void this.#send();
  }

  /** Tells what is left, now. */
  stop(): void {
    this.#stopped = true;
    // Whoever takes it with them when they die, gives their clients some mail again.
    if (!this.#isEmpty) this.#publish(this.#next()).catch(() => undefined);
  }

  get #isEmpty(): boolean {
    return this.#taken.size === 0 && this.#told.size === 0;
  }

  async #send(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    // What one turn writes is told together.
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
        // Whoever published waits long enough to have said so in the log.
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
