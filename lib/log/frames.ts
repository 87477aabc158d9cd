import { joinBodies } from '../message/delta';
import { OWN_EVENT_PREFIX, toFrameText } from '../message/frame';
import type { Entry } from './entry';

/** How a reader is told of messages: for which of its `keys` they are, if it `showsKeys`; whether it reads one run alone. */
interface Telling {
  readonly keys: readonly string[];
  readonly showsKeys: boolean;
  readonly isOfRun: boolean;
}

/** The event that says that a run is over and has not failed. */
export const RUN_END = `${OWN_EVENT_PREFIX}end`;

// How long an event of joined pieces may become; a single piece may be longer.
const MAX_JOINED_BYTES = 64 * 1024;

/**
 * What entries are on the wire: their frames, each after the line that says for which of the reader's keys it is.
 * Neighbouring pieces of a run are joined. '' when there is nothing to hear.
 */
export function textOf(
  { showsKeys, keys, isOfRun }: Telling,
  entries: readonly Entry[],
  idOf: (entry: Entry, i: number) => string | undefined,
): string {
  let text = '';
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    // The start of a run is nothing to hear.
    if (entry.run?.is === 'start' || (isOfRun && isGoodEnd(entry))) continue;
    const last = lastOfPieces(entries, i);
    const body = last === i ? entry.body : joinBodies(entries.slice(i, last + 1).map((piece) => piece.body));
    i = last;
    if (showsKeys) text += keysLine(entry, keys);
    text += toFrameText(body, idOf(entries[last]!, last));
  }
  return text;
}

/** The index of the last of the neighbouring pieces that are one event with the entry at an index. */
function lastOfPieces(entries: readonly Entry[], from: number): number {
  let last = from;
  let { bytes } = entries[from]!;
  for (let next = entries[last + 1]; isPieceOf(entries[last]!, next); next = entries[last + 1]) {
    bytes += next.bytes;
    if (bytes > MAX_JOINED_BYTES) break;
    last++;
  }
  return last;
}

function isGoodEnd({ run, event }: Entry): boolean {
  return run?.is === 'end' && event === RUN_END;
}

/** Whether two entries are pieces of one text. */
function isPieceOf(a: Entry, b: Entry | undefined): b is Entry {
  return a.run?.is === 'text' && b?.run?.is === 'text' && a.keys[0] === b.keys[0];
}

/** A field that parsers pass over (HTML standard, 9.2.6); of the keys that its reader does not hold nothing is said. */
export function keysLine({ keys }: Entry, held: readonly string[]): string {
  return `keys: ${JSON.stringify(keys.filter((key) => held.includes(key)))}\n`;
}
