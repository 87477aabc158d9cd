import { joinPieces } from './delta';
import type { Entry } from './entry';
import type { Reader } from './reader';
import { RUN_END } from './run';

/**
 * What entries are on the wire: their frames, each after the line that says for which of the reader's keys it is.
 * Neighbouring pieces of a run are joined.
 */
export function framesOf(
  { showsKeys, keys, isOfRun }: Reader,
  entries: readonly Entry[],
  frameOf: (entry: Entry, i: number) => Buffer,
): Buffer | undefined {
  const frames: Buffer[] = [];
  const add = (entry: Entry, frame: Buffer): void => {
    if (showsKeys) frames.push(encodeKeys(entry, keys));
    frames.push(frame);
  };
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
  return frames.length > 1 ? Buffer.concat(frames) : frames[0];
}

function isGoodEnd({ run, event }: Entry): boolean {
  return run?.is === 'end' && event === RUN_END;
}

/** Whether two entries are pieces of one text. */
function isPieceOf(a: Entry, b: Entry | undefined): boolean {
  return a.run?.is === 'text' && b?.run?.is === 'text' && a.keys[0] === b.keys[0];
}

/** A field that parsers pass over (HTML standard, 9.2.6); of the keys that its reader does not hold nothing is said. */
export function encodeKeys({ keys }: Entry, held: readonly string[]): Buffer {
  return Buffer.from(`keys: ${JSON.stringify(keys.filter((key) => held.includes(key)))}\n`);
}
