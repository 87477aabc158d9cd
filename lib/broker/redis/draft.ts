import type { Reach } from '../../message/reach';
import type { Draft } from '../../order/broker';

/** What a draft that is fenced is ordered under. */
export interface Fence {
  /** What it is a result of. */
  readonly name: string;
  /** Grows with each run; not above 2^53. */
  readonly run: number;
  /** The same for equal results. */
  readonly digest: string;
}

/**
 * A draft that gets its place, but is a message only if it is news: a newer run of the same name has not come before it,
 * and its result is another one than the last.
 */
export interface FencedDraft extends Draft {
  readonly fence?: Fence;
}

/** A draft as it waits for its place in the store. */
export interface StoreDraft extends FencedDraft {
  readonly reach: Reach;
}

/** What was taken from mailboxes: places, as ids, and keys; and how far someone was told of what is lost of a key. */
export interface StoreTaken {
  readonly taken: readonly (readonly [id: string, key: string])[];
  readonly told: readonly (readonly [seq: number, key: string, host: string])[];
}
