import type { LossReason, Message } from '../order/broker';
import type { Rank } from './epochs';

// What an entry, its place in a tail and a tail cost besides the text, measured (bench/history.ts).
const ENTRY_BYTES = 370;
const PLACE_BYTES = 16;
const TAIL_BYTES = 690;

/** A message in the log, and where it stands. Its rank is, without a place of its own, that of the newest before it. */
export interface Entry extends Omit<Message, 'confirm' | 'age'>, Rank, Link<Entry> {
  /** Its place in this log: 1, 2, 3 … */
  readonly offset: number;
  /** Bytes of its frame, on the wire. */
  readonly bytes: number;
  /** Bytes of memory that it is counted as. */
  readonly weight: number;
  /** Whether it has a place of its own in the order; without one it is live only. */
  readonly inOrder: boolean;
  /** ms of a monotonic clock. */
  readonly appendedAt: number;
  /** In how many tails it stands. */
  holders: number;
  /** The mailboxes in which it waits for someone to take it, or the run that keeps it; undefined when there are none. */
  waits: Set<string> | undefined;
  /** Why it has left the history, of one that is archived. */
  archivedFor: LossReason | undefined;
  /** ms of the clock when the last mailbox was done with it, of one that is archived. */
  doneAt: number;
}

/** Bytes that a message is counted as. */
export function weigh(keys: readonly string[], body: string, bodyBytes: number): number {
  // V8 keeps a character in one byte, or all of a text's in two.
  const textBytes = bodyBytes === body.length ? bodyBytes : 2 * body.length;
  return ENTRY_BYTES + textBytes + PLACE_BYTES * keys.length;
}

/** Bytes that a key is counted as, with its tail. */
export function keyCost(key: string): number {
  return TAIL_BYTES + key.length;
}

/** What stands in a chain. */
export interface Link<T> {
  older: T | undefined;
  newer: T | undefined;
}

/** A list that lets go of any of its links in constant time. A link stands in one chain at a time. */
export class Chain<T extends Link<T>> implements Iterable<T> {
  oldest: T | undefined;
  newest: T | undefined;
  length = 0;

  push(link: T): void {
    link.older = this.newest;
    if (this.newest === undefined) this.oldest = link;
    else this.newest.newer = link;
    this.newest = link;
    this.length++;
  }

  remove(link: T): void {
    if (link.older === undefined) this.oldest = link.newer;
    else link.older.newer = link.newer;
    if (link.newer === undefined) this.newest = link.older;
    else link.newer.older = link.older;
    link.older = link.newer = undefined;
    this.length--;
  }

  *[Symbol.iterator](): Generator<T> {
    for (let link = this.oldest; link !== undefined; link = link.newer) yield link;
  }
}
