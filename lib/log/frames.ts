import { joinBodies } from '../message/delta';
import { OWN_EVENT_PREFIX, toFrameText } from '../message/frame';
import type { Entry } from './entry';

/** The parts of a `Reader` that its frames depend on. */
interface Telling {
  readonly keys: readonly string[];
  readonly showsKeys: boolean;
  readonly isOfRun: boolean;
}

/** The event that says that a run is over and has not failed. */
export const RUN_END = `${OWN_EVENT_PREFIX}end`;

// The most bytes of an event of joined pieces; a single piece may be longer.
const MAX_JOINED_BYTES = 64 * 1024;

/**
 * The frames of some entries, each after the line that says for which of the reader's keys it is, if it wants that.
 * Neighbouring pieces of a run are joined. '' when there is nothing to send.
 */
export function textOf(
  { showsKeys, keys, isOfRun }: Telling,
  entries: readonly Entry[],
  idOf: (entry: Entry, i: number) => string | undefined,
): string {
  let text = '';
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    // The start of a run is not sent, nor its good end to a reader of that run alone.
    if (entry.run?.is === 'start' || (isOfRun && isGoodEnd(entry))) continue;
    const last = lastOfPieces(entries, i);
    const body = last === i ? entry.body : joinBodies(entries.slice(i, last + 1).map((piece) => piece.body));
    i = last;
    if (showsKeys) text += keysLine(entry, keys);
    text += toFrameText(body, idOf(entries[last]!, last));
  }
  return text;
}

/** The index of the last neighbouring piece that is one event with the entry at `from`. */
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

/** A field that parsers pass over (HTML standard, 9.2.6). It names only the keys that its reader holds. */
export function keysLine({ keys }: Entry, held: readonly string[]): string {
  return `keys: ${JSON.stringify(keys.filter((key) => held.includes(key)))}\n`;
}
