import { randomUUID } from 'node:crypto';

const MAX_KEYS = 10_000;

/** A reading of the ledger. */
export interface LedgerEntry {
  /** The id of the ledger: numbers of different ones say nothing about each other. */
  readonly ledger: string;
  /** Messages that were published to the keys, since the ledger was begun. */
  readonly published: number;
}

/** Counts the messages that each key got. Two readings say how many a stream should have received in between. */
export class Ledger {
  #id = randomUUID();
  readonly #counts = new Map<string, number>();

  add(keys: readonly string[]): void {
    // The keys of jobs and rooms have no end.
    if (this.#counts.size > MAX_KEYS) {
      this.#counts.clear();
      this.#id = randomUUID();
    }
    for (const key of keys) this.#counts.set(key, this.#countOf(key) + 1);
  }

  read(keys: readonly string[]): LedgerEntry {
    return { ledger: this.#id, published: keys.reduce((sum, key) => sum + this.#countOf(key), 0) };
  }

  #countOf(key: string): number {
    return this.#counts.get(key) ?? 0;
  }
}
