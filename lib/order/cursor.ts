import { randomInt } from 'node:crypto';

/**
 * A place in the one order of messages: `seq` counts 1, 2, 3 … within an epoch.
 *
 * An epoch is one life of the order. Without it an id from before a restart would resume, in silence, into a hole.
 */
export interface Position {
  readonly epoch: string;
  readonly seq: number;
}

/** A place to come back to. */
export interface Cursor extends Position {
  /** Of throttled keys, the place from which on something was held back; undefined when nothing was. */
  readonly heldFrom?: number;
}

/** Characters in an epoch's name. */
export const EPOCH_LENGTH = 8;
const CURSOR = new RegExp(`^([0-9a-z]{${EPOCH_LENGTH}})-(0|[1-9][0-9]{0,15})(?:-([1-9][0-9]{0,15}))?$`);

/** A position as it stands in the `id` field: short and ASCII, so that sending it back costs no CORS preflight. */
export function toCursor({ epoch, seq, heldFrom }: Cursor): string {
  return heldFrom === undefined ? `${epoch}-${seq}` : `${epoch}-${seq}-${heldFrom}`;
}

/** Reads what `toCursor` wrote; `undefined` for anything else. */
export function parseCursor(text: string): Cursor | undefined {
  const match = CURSOR.exec(text);
  if (match === null) return undefined;
  const epoch = match[1]!;
  const seq = Number(match[2]);
  if (!Number.isSafeInteger(seq)) return undefined;
  if (match[3] === undefined) return { epoch, seq };
  const heldFrom = Number(match[3]);
  return heldFrom <= seq ? { epoch, seq, heldFrom } : undefined;
}

/**
 * The place of a client that is still reading its mail, from before it came: where it is with everything else, and where
 * with its mail.
 */
export function toMailCursor(cursor: string, mail: string): string {
  return `${cursor}~${mail}`;
}

/** Reads what `toMailCursor` wrote; `undefined` for anything else. */
export function parseMailCursor(text: string): { cursor: string; mail: Position } | undefined {
  const [cursor = '', last = '', ...rest] = text.split('~');
  const mail = parseCursor(last);
  return mail === undefined || rest.length > 0 || parseCursor(cursor) === undefined ? undefined : { cursor, mail };
}

/** A new epoch's name: random, so that two lives of the order never share one. */
export function newEpoch(): string {
  return Array.from({ length: EPOCH_LENGTH }, () => randomInt(36).toString(36)).join('');
}
