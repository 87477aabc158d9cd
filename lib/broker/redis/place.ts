import { EPOCH_LENGTH, parseCursor, type Position } from '../../order/cursor';

/**
 * A place in the order as Redis counts: the id of an entry of its stream. `term` is the epoch, by when it began in ms
 * since 1970; `seq` counts on from one epoch to the next.
 *
 * Everywhere else such a place is a `Position`.
 */
export interface Place {
  readonly term: number;
  readonly seq: number;
}

/** The id of the entry at a place. */
export function toId({ term, seq }: Place): string {
  return `${term}-${seq}`;
}

/** The place of the entry with an id. */
export function toPlace(id: string): Place {
  const dash = id.indexOf('-');
  return { term: Number(id.slice(0, dash)), seq: Number(id.slice(dash + 1)) };
}

/** A place as the replica knows it: an epoch's name is its term, to base 36. */
export function toPosition({ term, seq }: Place): Position {
  return { epoch: term.toString(36).padStart(EPOCH_LENGTH, '0'), seq };
}

/** The place that a cursor of this order names. */
export function fromCursor(cursor: string): Place {
  const { epoch, seq } = parseCursor(cursor)!;
  return { term: Number.parseInt(epoch, 36), seq };
}

export function isSame(a: Place, b: Place): boolean {
  return a.term === b.term && a.seq === b.seq;
}

export function isBefore(a: Place, b: Place): boolean {
  return a.term < b.term || (a.term === b.term && a.seq < b.seq);
}
