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
  /** Of throttled keys, the place from which on messages were held back; undefined when none was. */
  readonly heldFrom?: number;
}

/** Characters in an epoch's name. */
export const EPOCH_LENGTH = 8;
const CURSOR = new RegExp(`^([0-9a-z]{${EPOCH_LENGTH}})-(0|[1-9][0-9]{0,15})(?:-([1-9][0-9]{0,15}))?$`);

/** A position as it stands in the `id` field: short and ASCII, so that sending it back costs no CORS preflight. */
export function toCursor({ epoch, seq, heldFrom }: Cursor): string {
  return heldFrom === undefined ? `${epoch}-${seq}` : `${epoch}-${seq}-${heldFrom}`;
}

/** Parses a cursor that `toCursor` made; `undefined` for any other text. */
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

/** The place of a client that is still reading mail from before it came: with everything else, and with its mail. */
export function toMailCursor(cursor: string, mail: string): string {
  return `${cursor}~${mail}`;
}

/** The place that a client names: its `Last-Event-ID`, parsed once. */
export interface LastEventId {
  /** As it came. */
  readonly text: string;
  /** Its place with everything but mail from before it came: a cursor, or an id of a publisher's. */
  readonly id: string;
  /** `id`, parsed, if it is a cursor. */
  readonly cursor: Cursor | undefined;
  /** Its place with its mail, if it had not come to the end of that. */
  readonly mail: Position | undefined;
}

/** Parses a last event id: a text that `toCursor` or `toMailCursor` made, or an id of a publisher's. */
export function parseLastEventId(text: string): LastEventId {
  const cut = text.indexOf('~');
  if (cut === -1) return { text, id: text, cursor: parseCursor(text), mail: undefined };
  const cursor = parseCursor(text.slice(0, cut));
  const mail = cursor === undefined ? undefined : parseCursor(text.slice(cut + 1));
  if (mail === undefined) return { text, id: text, cursor: undefined, mail };
  return { text, id: text.slice(0, cut), cursor, mail };
}

/** A new epoch's name: random, so that two lives of the order never share one. */
export function newEpoch(): string {
  return Array.from({ length: EPOCH_LENGTH }, () => randomInt(36).toString(36)).join('');
}
