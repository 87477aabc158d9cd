import type { Reach } from '../../message/reach';
import type { Draft } from '../../order/broker';

/** The result of a schedule's run, as far as it decides whether a draft is news. */
export interface Fence {
  /** The schedule. */
  readonly name: string;
  /** Grows with each run; not above 2^53. */
  readonly run: number;
  /** The same for equal results. */
  readonly digest: string;
}

/**
 * A draft that gets its place, but is a message only if it is news: a newer run of the same name has not come before
 * it, and its result is another one than the last.
 */
export interface FencedDraft extends Draft {
  readonly fence?: Fence;
}

/** A draft on its way to the store. */
export interface StoreDraft extends FencedDraft {
  readonly reach: Reach;
}

/** Mail that was `taken`, by id and key; and up to which seq a client was `told` of a mailbox's losses, by host. */
export interface StoreTaken {
  readonly taken: readonly (readonly [id: string, key: string])[];
  readonly told: readonly (readonly [seq: number, key: string, host: string])[];
}
