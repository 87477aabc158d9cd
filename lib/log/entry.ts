import type { Act, RunPart, LossReason } from '../order/broker';
import type { Link } from './chain';
import type { Position } from '../order/cursor';

// What an entry, its place in a tail and a tail cost besides the text, measured (bench/history.ts).
const ENTRY_BYTES = 370;
const PLACE_BYTES = 16;
const TAIL_BYTES = 690;

/** A message in the log, and where it stands. */
export interface Entry extends Link<Entry> {
  /** Its place in this log: 1, 2, 3 … */
  readonly offset: number;
  readonly keys: readonly string[];
  /** Its encoded fields, all but the id. */
  readonly body: string;
  /** The publisher's own id. */
  readonly id: string | undefined;
  /** Bytes of its frame, on the wire, and bytes of memory that it is counted as. */
  readonly bytes: number;
  readonly weight: number;
  /** Its event's name. */
  readonly event: string | undefined;
  /** What its publisher knows it by. */
  readonly nonce: string | undefined;
  /** What was to be done, instead of a message. */
  readonly act: Act | undefined;
  /** What part of a run it is. */
  readonly run: RunPart | undefined;
  /** Its epoch, as a number that grows with each epoch this log has seen. */
  readonly term: number;
  /** Its place in the order or, without one, that of the newest message before it. */
  readonly seq: number;
  /** Whether it has a place of its own in the order; without one it is live only. */
  readonly inOrder: boolean;
  /** ms of a monotonic clock. */
  readonly appendedAt: number;
  /** In how many tails it stands. */
  holders: number;
  /** The mailboxes in which it waits for someone to take it, or the run that keeps it; undefined when there are none. */
  waits: Set<string> | undefined;
  /** Why it has left the history, of one that is kept for mailboxes or a run only. */
  heldFor: LossReason | undefined;
  /** ms of the clock when the last mailbox was done with it, of one that had left the history. */
  doneAt: number;
}

/** What to append. */
export interface Append {
  readonly keys: readonly string[];
  readonly body: string;
  readonly id?: string | undefined;
  readonly event?: string | undefined;
  readonly nonce?: string | undefined;
  readonly act?: Act | undefined;
  readonly run?: RunPart | undefined;
  readonly position?: Position | undefined;
  /** ms since it was published; left out: now. */
  readonly age?: number | undefined;
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
