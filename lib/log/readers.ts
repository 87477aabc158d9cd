import type { LastEventId } from '../order/cursor';
import type { Entry } from './entry';
import type { Rank } from './epochs';
import { textOf } from './frames';
import { Gaps, NO_GAPS, type Gap } from './gaps';
import type { Log } from './log';
import { cursorAt, cursorOf, idFor, idOf, merge, placeAt } from './merge';
import type { Batch, Beginning, Reader } from './reader';
import { begin, isMadeUpFor, knows, place, readFromHead, readUnplaced, rekey, resume } from './resume';
import type { Throttle, ThrottledKeys } from './throttle';

/** A batch that readers at the same place with the same keys share, and for which of them it is. */
interface SharedBatch {
  readonly keys: readonly string[];
  readonly from: number;
  readonly head: number;
  readonly maxBytes: number;
  readonly to: number;
  /** Whether it is what all get who are there, whenever they came. */
  readonly isForAll: boolean;
  readonly batch: Batch;
}

const NOTHING: Batch = { frames: undefined, gaps: NO_GAPS, resumeAt: undefined, more: false, isEnd: false };

/**
 * Reads the log for its readers: each from a place of its own on, of the keys that it holds.
 *
 * Reading costs what it returns, not what is kept.
 */
export class Readers {
  readonly #log: Log;
  /** The last batch. */
  #shared: SharedBatch | undefined;
  /** What was encoded last: readers of the same get the same buffer. */
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

  /** A reader that comes for the first time: mail and runs first, then what comes from now on; with its gaps. */
  begin(keys: readonly string[], throttle?: Throttle): Beginning {
    return begin(this.#log, keys, throttle);
  }

  /** A reader of everything after a client's last event id, with the gaps that it must be told of first. */
  resume(lastEventId: LastEventId, keys: readonly string[], throttle?: Throttle): Beginning {
    return resume(this.#log, lastEventId, keys, throttle);
  }

  /** A reader whose place in the order cannot be told yet: until `place` it reads only what has none. */
  unplaced(keys: readonly string[], throttle?: Throttle): Reader {
    return readUnplaced(this.#log, keys, throttle);
  }

  /** Gives a reader its place after its client's last event id; returns the gaps that it must be told of first. */
  place(reader: Reader, lastEventId: LastEventId | undefined): readonly Gap[] {
    return place(this.#log, reader, lastEventId);
  }

  /** Gives a reader other keys: those that are new to it, from now on, with the mail that waits for them and their runs. */
  rekey(reader: Reader, keys: readonly string[], throttled?: ThrottledKeys): void {
    rekey(this.#log, reader, keys, throttled);
  }

  /** Whether a last event id says where a client of these keys was. */
  knows(lastEventId: LastEventId, keys: readonly string[]): boolean {
    return knows(this.#log, lastEventId, keys);
  }

  /** The cursor of a reader's place: resuming from it reads on exactly there. */
  cursorAt(reader: Reader): string | undefined {
    return cursorAt(this.#log, reader);
  }

  /** Whether a client of a run that is over has all that it could hear of it. */
  hasAllOfRun(lastEventId: LastEventId, key: string): boolean {
    if (this.#log.runOf(key)?.newest.run!.is !== 'end' || !this.knows(lastEventId, [key])) return false;
    const { reader, gaps } = this.resume(lastEventId, [key]);
    const { frames, more } = this.read({ ...reader, isOfRun: true }, 1);
    return gaps.length === 0 && frames === undefined && !more;
  }

  /** Says that every reader who keeps up has everything through this offset. */
  settle(through: number): void {
    this.#shared = undefined;
    this.#log.settle(through);
  }

  /**
   * Reads what comes after a reader's position, up to `maxBytes` but at least one message, and moves the reader on.
   *
   * What is lost in between comes as gaps, each told once.
   */
  read(reader: Reader, maxBytes: number): Batch {
    const { throttle, position, liveFrom } = reader;
    const { head } = this.#log;
    if (position === head && throttle === undefined) return NOTHING;
    const gaps = reader.placed ? this.#gapsOf(reader) : NO_GAPS;
    if (throttle !== undefined) return this.#readThrottled(reader, throttle, { maxBytes, gaps });
    const shared = this.#shared;
    if (
      shared === undefined ||
      shared.keys !== reader.keys ||
      shared.from !== position ||
      shared.head !== head ||
      shared.maxBytes !== maxBytes ||
      gaps.length > 0 ||
      !reader.placed ||
      reader.since !== undefined ||
      reader.mail !== undefined ||
      !(shared.isForAll || position >= liveFrom)
    ) {
      return this.#readAnew(reader, { maxBytes, gaps });
    }
    this.#moveOn(reader, shared.to, shared.batch.more);
    return shared.batch;
  }

  #moveOn(reader: Reader, position: number, more: boolean): void {
    reader.position = position;
    if (!more) reader.told = reader.since = reader.mail = reader.floor = undefined;
  }

  #readAnew(reader: Reader, { maxBytes, gaps }: { maxBytes: number; gaps: readonly Gap[] }): Batch {
    const log = this.#log;
    const { head } = log;
    const { keys, position: from, liveFrom, since, mail, floor } = reader;
    const resumeAt = gaps.length === 0 ? undefined : this.cursorAt(reader);
    const { entries, more, isForAll } = merge(log, reader, maxBytes);
    this.#moveOn(reader, more ? entries.at(-1)!.offset : head, more);
    const frames = this.#encode(textOf(reader, entries, (entry) => idFor(log, entry, floor)));
    const isEnd = reader.isOfRun && entries.some(({ run }) => run?.is === 'end');
    const batch: Batch = { frames, gaps, resumeAt, more, isEnd };
    const isShareable = gaps.length === 0 && reader.placed && since === undefined && mail === undefined;
    if (isShareable && (isForAll || from >= liveFrom)) {
      this.#shared = { keys, from, head, maxBytes, to: reader.position, isForAll, batch };
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
    // The client's place, as far as it knows: what was held back goes out under that.
    const at = throttle.holdsBack ? placeAt(log, reader) : undefined;
    const { entries, more } = merge(log, reader, maxBytes);
    const { floor } = reader;
    // Mail waits for as long as it has to: it is not throttled.
    const mail = floor === undefined ? [] : entries.filter(({ offset }) => offset <= floor.offset);
    const leaving: Entry[] = [];
    for (const entry of entries.slice(mail.length)) {
      leaving.push(...throttle.admit(entry, { isLive: entry.offset > liveFrom, since, now }));
    }
    this.#moveOn(reader, more ? entries.at(-1)!.offset : log.head, more);
    const isLate = throttle.holdsBack && reader.floor === undefined && (!more || reader.position >= liveFrom);
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

  /** An entry's id for a throttled reader: it never takes its client back, nor past what it was not sent. */
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
    // The publisher's own id goes out as given: a client that comes back with it gets the newest of all throttled keys.
    if (entry.id !== undefined || !throttle.holdsBack) return idOf(log, entry);
    return cursorOf(log, entry, throttle.heldBack);
  }

  #gapsOf(reader: Reader): readonly Gap[] {
    const log = this.#log;
    // Most readers are past all that is lost.
    if (reader.position >= log.lostThrough) return NO_GAPS;
    const gaps = new Gaps();
    for (const key of reader.keys) {
      const known = Math.max(reader.position, reader.since?.get(key) ?? 0, reader.told?.get(key) ?? 0);
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
