import type { Entry } from './entry';
import type { Keep } from './archive';
import type { Losses } from '../order/broker';
import { furthest, Tail, type Loss } from './tail';

// How many keys without any message are remembered for what they lost. Older ones are forgotten together.
const MAX_EMPTY_TAILS = 16_384;

/** The tails of all keys, those that are empty included: they remember what was lost. */
export class Tails {
  readonly #tails = new Map<string, Tail>();
  /** Those without entries, by when they became so. */
  readonly #empty = new Set<Tail>();
  /** What the forgotten ones had lost at most. */
  #forgotten: { lost: Loss | undefined; lostInOrder: Loss | undefined } = { lost: undefined, lostInOrder: undefined };
  readonly #keepOf: (key: string) => Keep | undefined;

  /** `keepOf` says what keeps the entries of a key beyond the history. */
  constructor(keepOf: (key: string) => Keep | undefined) {
    this.#keepOf = keepOf;
  }

  get size(): number {
    return this.#tails.size;
  }

  keys(): Iterable<string> {
    return this.#tails.keys();
  }

  has(key: string): boolean {
    return this.#tails.has(key);
  }

  get(key: string): Tail | undefined {
    return this.#tails.get(key);
  }

  /** The tail of a key, for an entry that comes to it. */
  for(key: string): Tail {
    let tail = this.#tails.get(key);
    if (tail === undefined) {
      tail = new Tail(key, this.#keepOf(key));
      tail.lost = this.#forgotten.lost;
      tail.lostInOrder = this.#forgotten.lostInOrder;
      this.#tails.set(key, tail);
    }
    if (tail.isEmpty) this.#empty.delete(tail);
    return tail;
  }

  /** Says that nothing is left of a tail but what it lost. */
  setEmpty(tail: Tail): void {
    this.#empty.add(tail);
    if (this.#empty.size <= MAX_EMPTY_TAILS) return;
    const [first] = this.#empty;
    this.#empty.delete(first!);
    this.#tails.delete(first!.key);
    this.#forgotten = {
      lost: newer(this.#forgotten.lost, first!.lost),
      lostInOrder: furthest(this.#forgotten.lostInOrder, first!.lostInOrder),
    };
  }

  /** Remembers what a key has lost elsewhere. */
  lose(key: string, loss: Loss): void {
    const tail = this.#tails.get(key) ?? this.#newEmpty(key);
    tail.lost = loss;
    tail.lostInOrder = furthest(tail.lostInOrder, loss);
  }

  /** Remembers what keys that have no tail have lost at most. */
  loseOthers(lost: Loss): void {
    this.#forgotten = { lost, lostInOrder: furthest(this.#forgotten.lostInOrder, lost) };
  }

  /** What of an epoch is lost. */
  lossesOf(term: number): Losses {
    const keys = [];
    for (const [key, { lostInOrder }] of this.#tails) {
      if (lostInOrder?.term === term) keys.push({ key, seq: lostInOrder.seq, reason: lostInOrder.reason });
    }
    const others = this.#forgotten.lostInOrder;
    return { keys, others: others?.term === term ? { seq: others.seq, reason: others.reason } : undefined };
  }

  /** The newest loss of a key that concerns someone who holds `keys`. */
  newestLoss(
    key: string,
    keys: readonly string[],
    concerns: (loss: Pick<Loss, 'offset' | 'term' | 'seq'>, inOrder: boolean) => boolean,
  ): Loss | undefined {
    const tail = this.#tails.get(key);
    const { lost, lostInOrder } = tail ?? this.#forgotten;
    let newest: Loss | undefined;
    if (lost !== undefined && concerns(lost, false)) newest = lost;
    else if (lostInOrder !== undefined && concerns(lostInOrder, true)) newest = lostInOrder;
    for (const stray of tail?.strays ?? []) {
      if (newest !== undefined && stray.offset < newest.offset) continue;
      if (concerns(stray, stray.inOrder) && !keys.some((other) => this.#isKeptFor(stray, other))) {
        newest = { offset: stray.offset, term: stray.term, seq: stray.seq, reason: 'evicted' };
      }
    }
    return newest;
  }

  #isKeptFor(entry: Entry, key: string): boolean {
    return entry.keys.includes(key) && this.#tails.get(key)?.strays.has(entry) === false;
  }

  #newEmpty(key: string): Tail {
    const tail = new Tail(key, this.#keepOf(key));
    tail.lostInOrder = this.#forgotten.lostInOrder;
    this.#tails.set(key, tail);
    this.setEmpty(tail);
    return tail;
  }
}

function newer<T extends { offset: number }>(a: T | undefined, b: T | undefined): T | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a.offset >= b.offset ? a : b;
}
