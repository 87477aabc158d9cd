import { joinPieces } from '../message/delta';
import type { Entry } from './entry';
import { toFrameText, OWN_EVENT_PREFIX } from '../message/message';
import type { Reader } from './reader_state';

/**
 * What entries are on the wire: their frames, each after the line that says for which of the reader's keys it is.
 * Neighbouring pieces of a run are joined. '' when there is nothing to hear.
 */
export function textOf(
  { showsKeys, keys, isOfRun }: Reader,
  entries: readonly Entry[],
  idOf: (entry: Entry, i: number) => string | undefined,
): string {
  let text = '';
  const add = (entry: Entry, frame: string): void => {
    if (showsKeys) text += keysLine(entry, keys);
    text += frame;
  };
  const frameOf = (entry: Entry, i: number): string => toFrameText(entry.body, idOf(entry, i));
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    if (isPieceOf(entry, entries[i + 1])) {
      const first = i;
      while (isPieceOf(entry, entries[i + 1])) i++;
      const pieces = entries.slice(first, i + 1).map((piece, at) => frameOf(piece, first + at));
      for (const frame of joinPieces(pieces)) add(entry, frame);
    } else if (entry.run?.is !== 'start' && !(isOfRun && isGoodEnd(entry))) {
      // The start of a run is nothing to hear.
      add(entry, frameOf(entry, i));
    }
  }
  return text;
}

function isGoodEnd({ run, event }: Entry): boolean {
  return run?.is === 'end' && event === RUN_END;
}

/** Whether two entries are pieces of one text. */
function isPieceOf(a: Entry, b: Entry | undefined): boolean {
  return a.run?.is === 'text' && b?.run?.is === 'text' && a.keys[0] === b.keys[0];
}

/** A field that parsers pass over (HTML standard, 9.2.6); of the keys that its reader does not hold nothing is said. */
export function keysLine({ keys }: Entry, held: readonly string[]): string {
  return `keys: ${JSON.stringify(keys.filter((key) => held.includes(key)))}\n`;
}

/** The event that says that a run is over and has not failed. */
export const RUN_END = `${OWN_EVENT_PREFIX}end`;
