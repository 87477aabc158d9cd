import type { LastEventId } from '../order/cursor';
import type { Entry } from './entry';
import type { Rank } from './epochs';
import { textOf } from './frames';
import { Gaps, NO_GAPS, type Gap } from './gaps';
import type { Log } from './log';
import { cursorAt, cursorOf, idFor, idOf, merge, placeAt } from './merge';
import type { Batch, Beginning, Reader } from './reader';
import { begin, isMadeUpFor, knows, place, readFromHead, readUnplaced, rekey, resume } from './resume';
import { Throttle, type ThrottledKeys } from './throttle';

/** A batch that readers at the same offset with the same keys share. */
interface SharedBatch {
  readonly keys: readonly string[];
  readonly from: number;
  readonly head: number;
  readonly maxBytes: number;
  readonly to: number;
  /** Whether it is right for all readers at `from`, whichever their `liveFrom` is. */
  readonly isForAll: boolean;
  readonly batch: Batch;
}

const NOTHING: Batch = { frames: undefined, gaps: NO_GAPS, resumeAt: undefined, more: false, isEnd: false };

/**
 * Reads the log for its readers: each from an offset of its own on, and only the keys that it holds.
 *
 * Reading costs what it returns, not what is kept.
 */
export class Readers {
  readonly #log: Log;
  /** The last batch that can be shared. */
  #shared: SharedBatch | undefined;
  /** The text that was encoded last: readers of the same text get the same buffer. */
  #encoded: { readonly text: string; readonly bytes: Buffer } | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  /** The offset of the newest entry. */
  get head(): number {
    return this.#log.head;
  }

  /** A reader of what comes from now on. */
  fromHead(keys: readonly string[], throttle?: Throttle): Reader {
    return readFromHead(this.#log, keys, throttle);
  }

  /**
   * A reader of a client that joins, with its gaps: as `resume` makes it for a client with a last event id, or else
   * `begin`. As long as its place is not known, it is `unplaced`, if it `mayWait`.
   */
  join(
    keys: readonly string[],
    client: { lastEventId: LastEventId | undefined; throttled: ThrottledKeys | undefined; mayWait: boolean },
  ): Beginning {
    const { lastEventId, throttled, mayWait } = client;
    if (keys.length === 0) return { reader: this.fromHead(keys), gaps: NO_GAPS };
    const throttle = throttled === undefined ? undefined : new Throttle(throttled);
    const isKnown = lastEventId === undefined ? this.#log.place !== undefined : this.knows(lastEventId, keys);
    if (!isKnown && mayWait) return { reader: this.unplaced(keys, throttle), gaps: NO_GAPS };
    return lastEventId === undefined ? this.begin(keys, throttle) : this.resume(lastEventId, keys, throttle);
  }

  /** A reader of a client that comes for the first time: mail and runs, then what comes from now on; with its gaps. */
  begin(keys: readonly string[], throttle?: Throttle): Beginning {
    return begin(this.#log, keys, throttle);
  }

  /** A reader of everything after a client's last event id, with the gaps that it must be told of first. */
  resume(lastEventId: LastEventId, keys: readonly string[], throttle?: Throttle): Beginning {
    return resume(this.#log, lastEventId, keys, throttle);
  }

  /** A reader whose place in the order is not known yet: until `place` it reads only what has no place. */
  unplaced(keys: readonly string[], throttle?: Throttle): Reader {
    return readUnplaced(this.#log, keys, throttle);
  }

  /** Gives a reader its place after its client's last event id; returns the gaps that it must be told of first. */
  place(reader: Reader, lastEventId: LastEventId | undefined): readonly Gap[] {
    return place(this.#log, reader, lastEventId);
  }

  /** Gives a reader other keys. It reads the new ones from now on, with the mail that waits for them and their runs. */
  rekey(reader: Reader, keys: readonly string[], throttled?: ThrottledKeys): void {
    rekey(this.#log, reader, keys, throttled);
  }

  /** Whether a last event id names a known place, for a client of these keys. */
  knows(lastEventId: LastEventId, keys: readonly string[]): boolean {
    return knows(this.#log, lastEventId, keys);
  }

  /** The cursor of a reader's place: resuming from it reads on exactly there. */
  cursorAt(reader: Reader): string | undefined {
    return cursorAt(this.#log, reader);
  }

  /** Whether a run is over and the client with this id has all of it. */
  hasAllOfRun(lastEventId: LastEventId, key: string): boolean {
    if (this.#log.runOf(key)?.newest.run!.is !== 'end' || !this.knows(lastEventId, [key])) return false;
    const { reader, gaps } = this.resume(lastEventId, [key]);
    const { frames, more } = this.read({ ...reader, isOfRun: true }, 1);
    return gaps.length === 0 && frames === undefined && !more;
  }

  /** Says that every reader that is not behind has everything through this offset. */
  settle(through: number): void {
    this.#shared = undefined;
    this.#log.settle(through);
  }

  /**
   * Reads the entries after a reader's offset, up to `maxBytes` but at least one message, and moves the reader on.
   *
   * Losses in between come as gaps, each told once.
   */
  read(reader: Reader, maxBytes: number): Batch {
    const { throttle, offset, liveFrom } = reader;
    const { head } = this.#log;
    if (offset === head && throttle === undefined) return NOTHING;
    const gaps = reader.placed ? this.#gapsOf(reader) : NO_GAPS;
    if (throttle !== undefined) return this.#readThrottled(reader, throttle, { maxBytes, gaps });
    const shared = this.#shared;
    if (
      shared === undefined ||
      shared.keys !== reader.keys ||
      shared.from !== offset ||
      shared.head !== head ||
      shared.maxBytes !== maxBytes ||
      gaps.length > 0 ||
      !reader.placed ||
      reader.since !== undefined ||
      reader.mail !== undefined ||
      !(shared.isForAll || offset >= liveFrom)
    ) {
      return this.#readAnew(reader, { maxBytes, gaps });
    }
    this.#moveOn(reader, shared.to, shared.batch.more);
    return shared.batch;
  }

  #moveOn(reader: Reader, offset: number, more: boolean): void {
    reader.offset = offset;
    if (!more) reader.told = reader.since = reader.mail = reader.floor = undefined;
  }

  #readAnew(reader: Reader, { maxBytes, gaps }: { maxBytes: number; gaps: readonly Gap[] }): Batch {
    const log = this.#log;
    const { head } = log;
    const { keys, offset: from, liveFrom, since, mail, floor } = reader;
    const resumeAt = gaps.length === 0 ? undefined : this.cursorAt(reader);
    const { entries, more, isForAll } = merge(log, reader, maxBytes);
    this.#moveOn(reader, more ? entries.at(-1)!.offset : head, more);
    const frames = this.#encode(textOf(reader, entries, (entry) => idFor(log, entry, floor)));
    const isEnd = reader.isOfRun && entries.some(({ run }) => run?.is === 'end');
    const batch: Batch = { frames, gaps, resumeAt, more, isEnd };
    const isShareable = gaps.length === 0 && reader.placed && since === undefined && mail === undefined;
    if (isShareable && (isForAll || from >= liveFrom)) {
      this.#shared = { keys, from, head, maxBytes, to: reader.offset, isForAll, batch };
    }
    return batch;
  }

  #readThrottled(
    reader: Reader,
    throttle: Throttle,
    { maxBytes, gaps }: { maxBytes: number; gaps: readonly Gap[] },
  ): Batch {
    const log = this.#log;
    const { liveFrom, since } = reader;
    const now = log.now();
    const resumeAt = gaps.length === 0 ? undefined : this.cursorAt(reader);
    // The place that the client knows to be its own: messages that were held back go out under its id.
    const at = throttle.holdsBack ? placeAt(log, reader) : undefined;
    const { entries, more } = merge(log, reader, maxBytes);
    const { floor } = reader;
    // Mail has waited already, and each of its messages counts: it is not throttled.
    const mail = floor === undefined ? [] : entries.filter(({ offset }) => offset <= floor.offset);
    const leaving: Entry[] = [];
    for (const entry of entries.slice(mail.length)) {
      leaving.push(...throttle.admit(entry, { isLive: entry.offset > liveFrom, since, now }));
    }
    this.#moveOn(reader, more ? entries.at(-1)!.offset : log.head, more);
    const isLate = throttle.holdsBack && reader.floor === undefined && (!more || reader.offset >= liveFrom);
    if (isLate) leaving.push(...throttle.release(now, maxBytes));
    leaving.sort((a, b) => a.offset - b.offset);
    const text = textOf(reader, [...mail, ...leaving], (entry, i) =>
      i < mail.length
        ? idFor(log, entry, floor)
        : this.#lateIdFor(entry, { leaving, i: i - mail.length, throttle, at }),
    );
    const isMoreDue = isLate && throttle.isDue(now);
    return { frames: this.#encode(text), gaps, resumeAt, more: more || isMoreDue, isEnd: false };
  }

  /** An entry's id for a throttled reader: it never leads the client back, nor past messages that it was not sent. */
  #lateIdFor(
    entry: Entry,
    { leaving, i, throttle, at }: { leaving: readonly Entry[]; i: number; throttle: Throttle; at: Rank | undefined },
  ): string | undefined {
    const log = this.#log;
    if (!entry.inOrder) return idOf(log, entry);
    if (entry.offset <= throttle.given && at !== undefined) {
      const late = [...throttle.heldBack, ...leaving.slice(i + 1)].sort((a, b) => a.offset - b.offset);
      return cursorOf(log, at, late);
    }
    throttle.given = entry.offset;
    // A publisher's own id goes out as given: a client that comes back with it gets the newest of all throttled keys.
    if (entry.id !== undefined || !throttle.holdsBack) return idOf(log, entry);
    return cursorOf(log, entry, throttle.heldBack);
  }

  #gapsOf(reader: Reader): readonly Gap[] {
    const log = this.#log;
    // Most readers are past all losses.
    if (reader.offset >= log.lostThrough) return NO_GAPS;
    const gaps = new Gaps();
    for (const key of reader.keys) {
      const known = Math.max(reader.offset, reader.since?.get(key) ?? 0, reader.told?.get(key) ?? 0);
      const loss = log.tails.newestLoss(
        key,
        reader.keys,
        ({ offset }, inOrder) => offset > known && (inOrder || offset > reader.liveFrom),
      );
      if (loss === undefined || isMadeUpFor(log, key, loss, reader.throttle)) continue;
      gaps.add(loss.reason, key);
      reader.told ??= new Map();
      reader.told.set(key, loss.offset);
    }
    return gaps.all;
  }

  #encode(text: string): Buffer | undefined {
    if (text === '') return undefined;
    if (this.#encoded?.text !== text) this.#encoded = { text, bytes: Buffer.from(text) };
    return this.#encoded.bytes;
  }
}
