import { toCursor, toMailCursor } from '../order/cursor';
import type { Entry } from './entry';
import type { Rank } from './epochs';
import { keysLine } from './frames';
import type { Log } from './log';
import type { Reader } from './reader';
import type { Tail } from './tails';

/** The next entries for a reader. */
export interface Merged {
  readonly entries: Entry[];
  /** Whether more is there to read than fitted. */
  readonly more: boolean;
  /** Whether they are right for all readers at the same offset, whichever their `liveFrom` is. */
  readonly isForAll: boolean;
}

/** A reader's index in the tail of one key. */
interface Source {
  readonly tail: Tail;
  index: number;
}

/** The entries of all of a reader's keys after its offset, in order, each once. Mail among them is taken by that. */
export function merge(log: Log, reader: Reader, maxBytes: number): Merged {
  const { keys, offset, liveFrom, placed, since } = reader;
  const sources: Source[] = [];
  for (const key of keys) {
    const tail = log.tails.get(key);
    if (tail === undefined) continue;
    const index = tail.indexAfter(Math.max(offset, since?.get(key) ?? 0));
    const source = { tail, index };
    passOver(source, reader);
    if (source.index < tail.length) sources.push(source);
  }
  const entries: Entry[] = [];
  let bytes = 0;
  let isForAll = true;
  for (;;) {
    let next: Entry | undefined;
    for (const { tail, index } of sources) {
      const entry = tail.at(index);
      if (entry !== undefined && (next === undefined || entry.offset < next.offset)) next = entry;
    }
    if (next === undefined) return { entries, more: false, isForAll };
    // An entry without a place in the order is live only: the client of a reader that resumed may have seen it.
    const isToRead = next.inOrder ? placed : next.offset > liveFrom;
    isForAll &&= next.inOrder;
    if (isToRead) {
      bytes += next.bytes + (reader.showsKeys ? Buffer.byteLength(keysLine(next, keys)) : 0);
      if (bytes > maxBytes && entries.length > 0) return { entries, more: true, isForAll };
      entries.push(next);
    }
    for (const source of sources) {
      const { tail } = source;
      if (tail.at(source.index) !== next) continue;
      source.index++;
      passOver(source, reader);
      if (isToRead && tail.archive !== undefined && log.mailboxes.has(tail.key)) log.mailboxes.take(next, tail.key);
    }
  }
}

/** Moves a source on to the next entry that is to be read: of mail, only what waits. */
function passOver(source: Source, reader: Reader): void {
  if (reader.mail === undefined) return;
  for (;;) {
    const entry = source.tail.at(source.index);
    if (entry === undefined || !isPassedOver(entry, source.tail.key, reader)) return;
    source.index++;
  }
}

function isPassedOver(entry: Entry, key: string, { mail }: Reader): boolean {
  const until = mail?.get(key);
  return until !== undefined && entry.offset <= until && entry.waits?.has(key) !== true;
}

/** A reader's place in the order, and the offset of its next entry. */
export function placeAt(log: Log, reader: Reader): (Rank & { readonly offset: number }) | undefined {
  let first: Entry | undefined;
  for (const key of reader.keys) {
    const tail = log.tails.get(key);
    if (tail === undefined) continue;
    const from = Math.max(reader.offset, reader.since?.get(key) ?? 0);
    for (let i = tail.indexAfter(from); i < tail.length; i++) {
      const entry = tail.at(i)!;
      if (!entry.inOrder || isPassedOver(entry, key, reader)) continue;
      if (first === undefined || entry.offset < first.offset) first = entry;
      break;
    }
  }
  if (first !== undefined) return { term: first.term, seq: first.seq - 1, offset: first.offset };
  const { term, seq } = log.epochs;
  return log.place === undefined ? undefined : { term, seq, offset: Number.POSITIVE_INFINITY };
}

/** The cursor of a reader's place: resuming from it reads on exactly there. */
export function cursorAt(log: Log, reader: Reader): string | undefined {
  const place = placeAt(log, reader);
  const { throttle, floor } = reader;
  if (place === undefined) return undefined;
  if (floor !== undefined && place.offset <= floor.offset) {
    return toMailCursor(floor.cursor, cursorOf(log, place));
  }
  if (throttle === undefined) return cursorOf(log, place);
  // The client is given this id: it has one as new as the reader's offset from now on.
  throttle.given = Math.max(throttle.given, reader.offset);
  return cursorOf(log, place, throttle.heldBack);
}

/** The cursor of a place, for a client that was not sent the entries `unsent`, oldest first. */
export function cursorOf(log: Log, { term, seq }: Rank, unsent: readonly Entry[] = []): string {
  const epoch = log.epochs.nameOf(term);
  const oldest = unsent.find((entry) => entry.inOrder && entry.term === term && entry.seq <= seq);
  return oldest === undefined ? toCursor({ epoch, seq }) : toCursor({ epoch, seq, heldFrom: oldest.seq });
}

/** An entry's id on the wire: its publisher's own, or its place; undefined when it has none. */
export function idOf(log: Log, entry: Entry): string | undefined {
  return entry.id ?? (entry.inOrder ? cursorOf(log, entry) : undefined);
}

/** An entry's id for a reader. That of mail from before it came also names its place with everything else. */
export function idFor(log: Log, entry: Entry, floor: Reader['floor']): string | undefined {
  if (floor === undefined || entry.offset > floor.offset || entry.id !== undefined) return idOf(log, entry);
  return toMailCursor(floor.cursor, cursorOf(log, entry));
}
