import type { LossReason, Message, PlacedMessage } from '../order/broker';
import type { Rank } from './epochs';

// The cost of an entry, of its reference in a tail, and of a tail, besides the text; measured (bench/history.ts).
const ENTRY_BYTES = 370;
const REFERENCE_BYTES = 16;
const TAIL_BYTES = 690;

/** A message in the log, and its rank: without a place of its own, that of the newest message before it. */
export interface Entry extends Omit<Message, 'confirm' | 'age'>, Rank, Link<Entry> {
  /** Its number in this log: 1, 2, 3 … */
  readonly offset: number;
  /** Bytes of its frame, on the wire. */
  readonly bytes: number;
  /** Bytes of memory that it is counted as. */
  readonly weight: number;
  /** Whether it has a place of its own in the order; without one it is live only. */
  readonly inOrder: boolean;
  /** ms of a monotonic clock. */
  readonly appendedAt: number;
  /** The number of tails in which it stands. */
  tailCount: number;
  /** The mailboxes in which it waits to be taken, or the run that keeps it; undefined when there are none. */
  waits: Set<string> | undefined;
  /** Why it has left the history; undefined unless it is archived. */
  archivedFor: LossReason | undefined;
  /** ms of the monotonic clock since when, archived, it waits no more; 0 until then. */
  doneAt: number;
}

/** Bytes that a message is counted as. */
export function weigh(keys: readonly string[], body: string, bodyBytes: number): number {
  // V8 stores a text with one byte per character or, if one of them needs it, two.
  const textBytes = bodyBytes === body.length ? bodyBytes : 2 * body.length;
  return ENTRY_BYTES + textBytes + REFERENCE_BYTES * keys.length;
}

/** Bytes that a key is counted as, with its tail. */
export function keyCost(key: string): number {
  return TAIL_BYTES + key.length;
}

/** An entry as it is handed to another process. Archived mail goes without its other keys, which have lost it. */
export function toMessage(
  entry: Entry,
  now: number,
  mailboxesOf: (keys: readonly string[]) => readonly string[],
): PlacedMessage {
  const { keys, body, id, event, nonce, act, run, seq, waits, archivedFor, appendedAt } = entry;
  if (act !== undefined) return { keys, body, nonce, act, seq };
  const message = { keys, body, id, event, nonce, run, seq };
  if ((waits ?? archivedFor) === undefined) return message;
  const age = Math.round(now - appendedAt);
  const isWhole = run !== undefined || archivedFor === undefined;
  return { ...message, keys: isWhole ? keys : mailboxesOf(keys), age };
}

/** An item of a chain. */
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
