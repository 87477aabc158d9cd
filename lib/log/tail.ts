import type { LossReason } from '../order/broker';
import type { Keep } from './archive';
import type { Entry } from './entry';

/** Where a message that is gone stood. */
export interface Loss {
  readonly offset: number;
  readonly term: number;
  readonly seq: number;
  readonly reason: LossReason;
}

/** Whether one place in the order comes after another. */
export function isAfter(a: { term: number; seq: number }, b: { term: number; seq: number }): boolean {
  return a.term > b.term || (a.term === b.term && a.seq > b.seq);
}

/** Of two losses the one with the higher place in the order. */
export function furthest(a: Loss | undefined, b: Loss): Loss;
export function furthest(a: Loss | undefined, b: Loss | undefined): Loss | undefined;
export function furthest(a: Loss | undefined, b: Loss | undefined): Loss | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return isAfter(a, b) ? a : b;
}

/** How far a run has come. */
export interface RunState {
  /** Its start, also when that is no longer kept; undefined when it was gone before this log came. */
  readonly start: Entry | undefined;
  /** Its newest part. */
  newest: Entry;
}

const NONE: ReadonlySet<Entry> = new Set();

/** The newest messages of one key, oldest first, and how far those that are gone reached. */
export class Tail {
  readonly key: string;
  /** What keeps its messages longer than the history, if it is a mailbox or a run. */
  readonly keep: Keep | undefined;
  #entries: Entry[] = [];
  #start = 0;
  /** The entry that is gone, of any reach, with the highest offset. */
  lost: Loss | undefined;
  /** The entry that is gone with the highest place in the order; what was lost elsewhere is known late. */
  lostInOrder: Loss | undefined;
  /** Entries that have left this tail but are kept for another of their keys: lost only to those who do not hold it. */
  #strays: Set<Entry> | undefined;
  /** How many of its entries wait for someone who holds this key to take them. */
  waiting = 0;
  /** How many of its entries are kept for mailboxes only. */
  held = 0;
  /** Whether it is counted among the bytes of the history. */
  isWeighed = false;
  /** The newest run, as long as something of it is kept. */
  run: RunState | undefined;

  constructor(key: string, keep: Keep | undefined) {
    this.key = key;
    this.keep = keep;
  }

  get strays(): ReadonlySet<Entry> {
    return this.#strays ?? NONE;
  }

  /** Whether nothing is kept for this key, here or for another key. */
  get isEmpty(): boolean {
    return this.length === 0 && this.strays.size === 0;
  }

  /** Whether something of the history is kept for this key. */
  get isOfHistory(): boolean {
    return this.length > this.held || this.strays.size > 0;
  }

  get length(): number {
    return this.#entries.length - this.#start;
  }

  get oldest(): Entry | undefined {
    return this.#entries[this.#start];
  }

  get firstWaiting(): Entry | undefined {
    for (let i = 0; i < this.length; i++) if (this.at(i)!.waits?.has(this.key) === true) return this.at(i);
    return undefined;
  }

  /** The first of what is kept of the newest run. */
  get firstOfRun(): Entry | undefined {
    const { run, oldest } = this;
    if (run === undefined || oldest === undefined) return undefined;
    return run.start === undefined || run.start.offset < oldest.offset ? oldest : run.start;
  }

  at(index: number): Entry | undefined {
    return this.#entries[this.#start + index];
  }

  push(entry: Entry): void {
    this.#entries.push(entry);
  }

  /** Takes the oldest entry out, which stays kept for another of its keys. */
  stray(): Entry {
    const entry = this.shift()!;
    this.#strays ??= new Set();
    this.#strays.add(entry);
    return entry;
  }

  /** Takes the oldest entry out. */
  shift(): Entry | undefined {
    const entry = this.#entries[this.#start];
    if (entry === undefined) return undefined;
    this.#entries[this.#start] = undefined as unknown as Entry;
    this.#start++;
    // Moving the rest down at half the length costs one step per shift, all told.
    if (this.#start > 16 && this.#start * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#start);
      this.#start = 0;
    }
    return entry;
  }

  /** Takes an entry out; says whether it was in. */
  remove(entry: Entry): boolean {
    const index = this.indexAfter(entry.offset - 1);
    if (this.at(index) !== entry) return false;
    if (index === 0) this.shift();
    else this.#entries.splice(this.#start + index, 1);
    return true;
  }

  /** Remembers that an entry is gone for everyone. */
  lose(entry: Entry, reason: LossReason): void {
    this.#strays?.delete(entry);
    if (this.#strays?.size === 0) this.#strays = undefined;
    const { offset, term, seq, inOrder } = entry;
    const loss: Loss = { offset, term, seq, reason };
    if (this.lost === undefined || offset > this.lost.offset) this.lost = loss;
    if (inOrder) this.lostInOrder = furthest(this.lostInOrder, loss);
  }

  /** Index of the first entry after an offset. */
  indexAfter(offset: number): number {
    return this.#search((entry) => entry.offset > offset);
  }

  /** Index of the first entry after a place in the order. */
  indexAfterPlace(term: number, seq: number): number {
    return this.#search((entry) => isAfter(entry, { term, seq }));
  }

  /** The entry of a place in the order, if it is here. */
  atPlace(term: number, seq: number): Entry | undefined {
    const entry = this.at(this.indexAfterPlace(term, seq - 1));
    return entry?.term === term && entry.seq === seq && entry.inOrder ? entry : undefined;
  }

  #search(isBeyond: (entry: Entry) => boolean): number {
    // Most readers are at the head or one behind it.
    const last = this.#entries.length - 1;
    if (last < this.#start || !isBeyond(this.#entries[last]!)) return this.length;
    let low = this.#start;
    let high = last;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBeyond(this.#entries[middle]!)) high = middle;
      else low = middle + 1;
    }
    return low - this.#start;
  }
}
