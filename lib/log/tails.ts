import type { Losses, LossReason, RunPart } from '../order/broker';
import type { Archive } from './archive';
import type { Entry } from './entry';
import { isAfter, type Epochs, type Rank } from './epochs';

// The number of keys without any message that are remembered for their losses. Older ones are forgotten together.
const MAX_EMPTY_TAILS = 16_384;

const NONE: ReadonlySet<Entry> = new Set();

/** The place and the offset of a message that is gone. */
export interface Loss extends Rank {
  readonly offset: number;
  readonly reason: LossReason;
}

/** The state of a run. */
export interface RunState {
  /** Its start, even when that is no longer kept; undefined when it was gone before this log entered the order. */
  readonly start: Entry | undefined;
  /** Its newest part. */
  newest: Entry;
}

/** Whether a part belongs to a run: the first start in the order does, then all parts up to the first end. */
export function belongs({ is, since = '' }: RunPart, state: RunState | undefined, epochs: Epochs): boolean {
  if (state === undefined) return true;
  if (is !== 'start') return state.newest.run!.is !== 'end';
  // Another start counts only if its publisher knew of the last run, and that it was over.
  const known = epochs.rankNamed(since) ?? { term: 0, seq: 0 };
  return !isAfter(state.start ?? state.newest, known);
}

/** The newest messages of one key, oldest first, and the last of those that are gone. */
export class Tail {
  readonly key: string;
  /** The archive that keeps its messages longer than the history, if it is a mailbox or a run. */
  readonly archive: Archive | undefined;
  /** The entry that is gone, of any reach, with the highest offset. */
  lost: Loss | undefined;
  /** The entry that is gone with the highest place in the order; a loss in another process may be heard of late. */
  lostInOrder: Loss | undefined;
  /** The number of its entries that wait: to be taken by a holder of this key or, of a run, for its lifetime. */
  waiting = 0;
  /** The number of its entries that are archived. */
  archived = 0;
  /** Whether it is counted among the bytes of the history. */
  isWeighed = false;
  /** The newest run, as long as something of it is kept. */
  run: RunState | undefined;
  #entries: Entry[] = [];
  #start = 0;
  /** Entries that have left this tail but are kept for another key: lost only to readers that do not hold that one. */
  #strays: Set<Entry> | undefined;

  constructor(key: string, archive: Archive | undefined) {
    this.key = key;
    this.archive = archive;
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
    return this.length > this.archived || this.strays.size > 0;
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

  /** The first entry that is kept of the newest run. */
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

  /** Removes the oldest entry, which is still kept for another of its keys. */
  stray(): Entry {
    const entry = this.shift()!;
    this.#strays ??= new Set();
    this.#strays.add(entry);
    return entry;
  }

  /** Removes the oldest entry. */
  shift(): Entry | undefined {
    const entry = this.#entries[this.#start];
    if (entry === undefined) return undefined;
    this.#entries[this.#start] = undefined as unknown as Entry;
    this.#start++;
    // Moving the rest down only at half the length costs one step per shift, on average.
    if (this.#start > 16 && this.#start * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#start);
      this.#start = 0;
    }
    return entry;
  }

  /** Removes an entry; says whether it was there. */
  remove(entry: Entry): boolean {
    const index = this.indexAfter(entry.offset - 1);
    if (this.at(index) !== entry) return false;
    if (index === 0) this.shift();
    else this.#entries.splice(this.#start + index, 1);
    return true;
  }

  /** Remembers that an entry is gone for all readers. */
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

/** The tails of all keys. Empty ones are among them, since they remember their losses. */
export class Tails {
  readonly #tails = new Map<string, Tail>();
  /** The tails without entries, in the order in which they became so. */
  readonly #empty = new Set<Tail>();
  /** The newest losses of the tails that are forgotten. */
  #forgotten: { lost: Loss | undefined; lostInOrder: Loss | undefined } = { lost: undefined, lostInOrder: undefined };
  readonly #archiveOf: (key: string) => Archive | undefined;

  /** `archiveOf`: the archive that keeps the entries of a key beyond the history. */
  constructor(archiveOf: (key: string) => Archive | undefined) {
    this.#archiveOf = archiveOf;
  }

  get size(): number {
    return this.#tails.size;
  }

  get(key: string): Tail | undefined {
    return this.#tails.get(key);
  }

  /** The tail of a key, for an entry that comes to it. */
  for(key: string): Tail {
    let tail = this.#tails.get(key);
    if (tail === undefined) {
      tail = new Tail(key, this.#archiveOf(key));
      tail.lost = this.#forgotten.lost;
      tail.lostInOrder = this.#forgotten.lostInOrder;
      this.#tails.set(key, tail);
    }
    if (tail.isEmpty) this.#empty.delete(tail);
    return tail;
  }

  /** Says that a tail has no entries any more, only losses. */
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

  /**
   * Remembers, as of `offset`, the losses of an epoch that is known here up to the place `heard`; says whether any of
   * them is news. Each key that the other log has forgotten may have lost as much as the last of them.
   */
  loseElsewhere(
    { keys, others }: Losses,
    { offset, term, heard }: { offset: number; term: number; heard: number },
  ): boolean {
    const news = new Map(keys.filter(({ seq }) => seq > heard).map((loss) => [loss.key, loss]));
    const ofOthers = others !== undefined && others.seq > heard ? others : undefined;
    if (ofOthers !== undefined) {
      for (const key of this.#tails.keys()) if (!news.has(key)) news.set(key, { key, ...ofOthers });
    }
    for (const [key, { seq, reason }] of news) {
      const loss: Loss = { offset, term, seq, reason };
      const tail = this.#tails.get(key) ?? this.#newEmpty(key);
      tail.lost = loss;
      tail.lostInOrder = furthest(tail.lostInOrder, loss);
    }
    if (ofOthers !== undefined) {
      const lost: Loss = { offset, term, ...ofOthers };
      this.#forgotten = { lost, lostInOrder: furthest(this.#forgotten.lostInOrder, lost) };
    }
    return news.size > 0 || ofOthers !== undefined;
  }

  /** The losses of an epoch. */
  lossesOf(term: number): Losses {
    const keys = [];
    for (const [key, { lostInOrder }] of this.#tails) {
      if (lostInOrder?.term === term) keys.push({ key, seq: lostInOrder.seq, reason: lostInOrder.reason });
    }
    const others = this.#forgotten.lostInOrder;
    return { keys, others: others?.term === term ? { seq: others.seq, reason: others.reason } : undefined };
  }

  /** The newest loss of a key, among those that `concerns` chooses, for a reader that holds `keys`. */
  newestLoss(
    key: string,
    keys: readonly string[],
    concerns: (loss: Omit<Loss, 'reason'>, inOrder: boolean) => boolean,
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
    const tail = new Tail(key, this.#archiveOf(key));
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

/** Of two losses the one with the higher place in the order. */
function furthest(a: Loss | undefined, b: Loss): Loss;
function furthest(a: Loss | undefined, b: Loss | undefined): Loss | undefined;
function furthest(a: Loss | undefined, b: Loss | undefined): Loss | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return isAfter(a, b) ? a : b;
}
