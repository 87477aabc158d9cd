import type { Bounds } from '../options/options';
import type { LossReason } from '../order/broker';
import { Chain, keyCost, type Entry } from './entry';

/** The tail of a key that an archive keeps: it counts how many of its entries wait. */
interface Box {
  readonly key: string;
  waiting: number;
}

const NONE: readonly string[] = [];

/** Messages that are kept beyond the history: of mailboxes until they are taken, or of runs for their lifetime. */
export class Archive {
  readonly bounds: Bounds;
  /** Whether it keeps the messages of a key. */
  readonly keeps: (key: string) => boolean;
  /** Entries that were not taken yet, or whose run's lifetime is not over, oldest first; of the history or archived. */
  readonly waiting = new Set<Entry>();
  /** Entries that have left the history. */
  readonly entries = new Chain<Entry>();
  /** Keys with more than `count` entries waiting. */
  readonly full = new Set<string>();
  /** Archived entries that wait no more, by `doneAt`: a client that lost one on the way may still come back for it. */
  readonly done = new Set<Entry>();
  #bytes = 0;

  constructor(bounds: Bounds, keeps: (key: string) => boolean) {
    this.bounds = bounds;
    this.keeps = keeps;
  }

  /** Bytes that its entries are counted as. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The keys among some whose messages it keeps. */
  keysOf(keys: readonly string[]): readonly string[] {
    // Most messages have none: this runs for each of them.
    return keys.some(this.keeps) ? keys.filter(this.keeps) : NONE;
  }

  /** The keys for which a new entry waits; undefined when there are none. `ofRun`: the set that a run's parts share. */
  waitsOf(keys: readonly string[], ofRun: Set<string> | undefined): Set<string> | undefined {
    const kept = this.keysOf(keys);
    return kept.length === 0 ? undefined : (ofRun ?? new Set(kept));
  }

  /** Accepts an entry that leaves the history. */
  add(entry: Entry, reason: LossReason): void {
    entry.archivedFor = reason;
    this.entries.push(entry);
    this.#bytes += this.#costOf(entry);
  }

  /** Lets go of an entry. */
  remove(entry: Entry): void {
    this.entries.remove(entry);
    this.#bytes -= this.#costOf(entry);
    this.done.delete(entry);
  }

  /** Says that an entry waits no more for one key; returns whether it did. The parts of a run share one set of keys. */
  release(entry: Entry, box: Box, now: number): boolean {
    const { waits, run } = entry;
    if (waits?.has(box.key) !== true) return false;
    box.waiting--;
    if (run === undefined) waits.delete(box.key);
    if (run === undefined && waits.size > 0) return true;
    entry.waits = undefined;
    this.waiting.delete(entry);
    if (entry.archivedFor === undefined) return true;
    entry.doneAt = now;
    this.done.add(entry);
    return true;
  }

  #costOf(entry: Entry): number {
    // A run has one tail, and its cost is counted with the run's start.
    const keys = entry.run === undefined || entry.run.is === 'start' ? this.keysOf(entry.keys) : [];
    return keys.reduce((sum, key) => sum + keyCost(key), entry.weight);
  }
}
