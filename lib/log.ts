import { keyCost, weigh, type Append, type Entry } from './entry';
import { Chain } from './chain';
import { parseCursor, parseMailCursor, toCursor, toMailCursor, type Position } from './cursor';
import { Epochs } from './epochs';
import { frameBytes } from './event';
import { keysLine, textOf } from './frames';
import { Gaps, NO_GAPS, type Gap } from './gap';
import { Keep, type KeepBounds } from './keep';
import { LostMails } from './lost_mail';
import type { Losses } from './losses';
import type { Mail, Post } from './mail';
import { mailboxesOf } from './mailbox';
import { OwnIds } from './own_ids';
import type { Batch, Reader } from './reader';
import { isRunKey, type RunPart } from './run';
import { isAfter, type Loss, type LossReason, type RunState, type Tail } from './tail';
import { Tails } from './tails';
import { Throttle, type ThrottledKeys } from './throttle';

/** The bounds of a log: ms, messages per key, bytes in all. */
export interface LogBounds {
  readonly age: number;
  readonly count: number;
  readonly bytes: number;
}

/** Where a client was. */
interface ClientPlace {
  readonly term: number;
  readonly seq: number;
  /** From which place on something of a throttled key may have been held back. */
  readonly heldFrom: number | undefined;
  /** The entry whose own id it came with. */
  readonly entry?: Entry;
}

const NOTHING: Batch = { frames: undefined, count: 0, gaps: NO_GAPS, resumeAt: undefined, more: false, isEnd: false };

/**
 * What this process delivered, in order, indexed by key.
 *
 * Never holds more than `bytes` and one message. Lets go by `count` and `age` only of what was settled, so that a burst
 * reaches every client that keeps up. Reading costs what it returns, not what is kept.
 */
export class Log {
  readonly #bounds: LogBounds;
  readonly #now: () => number;
  readonly #tails: Tails;
  /** Tails with more than `count` entries. */
  readonly #longTails = new Set<Tail>();
  readonly #ids = new OwnIds();
  readonly #epochs = new Epochs();
  #head = 0;
  #settled = 0;
  /** The highest offset of anything that some key has lost. */
  #lostThrough = 0;
  readonly #history = new Chain<Entry>();
  #bytes = 0;
  readonly #post: Post | undefined;
  /** What is kept for mailboxes, and for runs; undefined when there are none. */
  readonly #mail: Keep | undefined;
  readonly #runs: Keep | undefined;
  readonly #keeps: readonly Keep[];
  /** What is held, though no mailbox waits for it any more, as long as someone who lost it on the way may come back. */
  readonly #done = new Set<Entry>();
  readonly #lostMail = new LostMails();
  /** The last joined batch: readers at the same place with the same keys share its buffer. */
  #shared:
    | {
        readonly keys: readonly string[];
        readonly from: number;
        readonly head: number;
        readonly maxBytes: number;
        readonly to: number;
        /** Whether it is what all get who are there, whenever they came. */
        readonly isForAll: boolean;
        readonly batch: Batch;
      }
    | undefined;
  /** What was encoded last: whoever is to get the same gets the same buffer. */
  #encoded: { readonly text: string; readonly bytes: Buffer } | undefined;

  constructor(bounds: LogBounds, now: () => number = () => performance.now(), post?: Post, runs?: KeepBounds) {
    this.#bounds = bounds;
    this.#now = now;
    this.#post = post;
    this.#mail = post && new Keep(post.mailbox);
    this.#runs = runs && new Keep(runs);
    this.#tails = new Tails((key) => this.#keepFor(key));
    this.#keeps = [this.#mail, this.#runs].filter((keep) => keep !== undefined);
  }

  /** The offset of the newest entry. */
  get head(): number {
    return this.#head;
  }

  /** What is kept: messages of the history and the bytes they are counted as, the same of held mail and runs, and keys. */
  get size(): Record<
    'messages' | 'bytes' | 'heldMessages' | 'heldBytes' | 'runMessages' | 'runBytes' | 'keys',
    number
  > {
    return {
      messages: this.#history.length,
      bytes: this.#bytes,
      heldMessages: this.#mail?.held.length ?? 0,
      heldBytes: this.#mail?.heldBytes ?? 0,
      runMessages: this.#runs?.held.length ?? 0,
      runBytes: this.#runs?.heldBytes ?? 0,
      keys: this.#tails.size,
    };
  }

  /** How far the newest run of a key has come, as long as something of it is kept. */
  runOf(key: string): RunState | undefined {
    return this.#tails.get(key)?.run;
  }

  /** The newest place in the order; `undefined` before there is an order. */
  get place(): Position | undefined {
    return this.#epochs.position;
  }

  /** The cursor of the newest place in the order. */
  get cursor(): string | undefined {
    return this.place === undefined ? undefined : toCursor(this.place);
  }

  /** Says which epoch the order is in, so that cursors can be given before its first message. */
  begin(position: Position): void {
    this.#epochs.begin(position);
  }

  /** Takes the next message. Of what its run has no place for, as after the run's end, it takes the place alone. */
  append({ keys, body, id, event, nonce, act, run, position, age = 0 }: Append): Entry | undefined {
    if (position !== undefined) this.begin(position);
    if (run !== undefined && !this.#belongs(run, keys[0]!)) return undefined;
    const keptFor = position === undefined ? [] : run === undefined ? this.#mailboxesOf(keys) : this.#runsOf(keys);
    const bodyBytes = Buffer.byteLength(body);
    const entry: Entry = {
      offset: ++this.#head,
      keys,
      body,
      id,
      bytes: frameBytes(bodyBytes, id ?? (position && toCursor(position))),
      weight: weigh(keys, body, bodyBytes),
      event,
      nonce,
      act,
      run,
      term: this.#epochs.term,
      seq: this.#epochs.seq,
      inOrder: position !== undefined,
      appendedAt: this.#now() - age,
      holders: keys.length,
      waits: this.#waitsOf(keptFor, run),
      heldFor: undefined,
      doneAt: 0,
      older: undefined,
      newer: undefined,
    };
    this.#history.push(entry);
    this.#bytes += entry.weight;
    const keep = this.#keepOf(entry);
    if (entry.waits !== undefined) keep!.waiting.add(entry);
    for (const key of keys) {
      const tail = this.#tails.for(key);
      tail.push(entry);
      this.#weigh(tail);
      if (run?.is === 'start') tail.run = { start: entry, newest: entry };
      else if (run !== undefined) (tail.run ??= { start: undefined, newest: entry }).newest = entry;
      if (tail.length > this.#limitOf(tail)) this.#longTails.add(tail);
      if (entry.waits?.has(key) === true && ++tail.waiting > keep!.bounds.count) keep!.full.add(tail);
    }
    if (id !== undefined) this.#ids.add(id, entry);
    while (this.#bytes > this.#bounds.bytes && this.#history.oldest !== entry) this.#dropOldest('evicted');
    return entry;
  }

  /** Of a run there are many with the same key, and they share what says so. */
  #waitsOf(keptFor: readonly string[], run: RunPart | undefined): Set<string> | undefined {
    if (keptFor.length === 0) return undefined;
    const others = run === undefined ? undefined : this.runOf(keptFor[0]!)?.newest.waits;
    return others ?? new Set(keptFor);
  }

  /** Whether a part of a run is to be taken: the first start that is ordered, then all up to the first end. */
  #belongs({ is, since = '' }: RunPart, key: string): boolean {
    const state = this.runOf(key);
    if (state === undefined) return true;
    if (is !== 'start') return state.newest.run!.is !== 'end';
    // Whoever starts it knew of the last one and that it is over.
    const known = this.#epochs.placeNamed(since) ?? { term: 0, seq: 0 };
    return !isAfter(state.start ?? state.newest, known);
  }

  /** Says that every reader who keeps up has everything through this offset; lets go of what is over the bounds. */
  settle(through: number): void {
    this.#settled = through;
    this.#shared = undefined;
    this.#encoded = undefined;
    for (const tail of this.#longTails) {
      const limit = this.#limitOf(tail);
      while (tail.length > limit && tail.oldest!.offset <= through) this.#trim(tail);
      if (tail.length <= limit) this.#longTails.delete(tail);
    }
    for (const keep of this.#keeps) for (const tail of keep.full) this.#emptyOver(tail, keep, through);
    this.expire();
  }

  /** Lets go of what is older than `age`, of mail that has waited for too long, and of runs whose lifetime is over. */
  expire(): void {
    const now = this.#now();
    const horizon = now - this.#bounds.age;
    for (;;) {
      const { oldest } = this.#history;
      if (oldest === undefined || oldest.appendedAt >= horizon || oldest.offset > this.#settled) break;
      this.#dropOldest('expired');
    }
    for (const entry of this.#done) {
      if (entry.doneAt >= horizon) break;
      this.#forget(entry, entry.heldFor!);
    }
    for (const { waiting, bounds } of this.#keeps) {
      for (const entry of waiting) {
        if (entry.appendedAt >= now - bounds.age || entry.offset > this.#settled) break;
        for (const key of entry.waits!) this.#lapse(entry, key, 'expired');
      }
    }
  }

  /** A reader of what comes from now on. */
  readFromHead(keys: readonly string[], throttle?: Throttle): Reader {
    return this.#readFrom(this.#head, keys, throttle);
  }

  /**
   * A reader of the mail that waits for its keys and of its runs from their start, then of what comes from now on; with
   * the gaps that it must be told of first: of mail that was lost before anyone took it, which is told once, and of runs
   * that are not whole.
   */
  open(keys: readonly string[], throttle?: Throttle): { reader: Reader; gaps: readonly Gap[] } {
    const reader = this.readFromHead(keys, throttle);
    const gaps = new Gaps();
    for (const key of keys) {
      const lost = this.#lostMail.get(key);
      if (lost === undefined) continue;
      gaps.add(lost.reason, key);
      this.#tell(key, lost);
    }
    for (const key of this.#runsOf(keys)) {
      const reason = this.#lossOfRun(key, keys);
      if (reason !== undefined) gaps.add(reason, key);
    }
    this.#addKept(reader, keys);
    return { reader, gaps: gaps.all };
  }

  /** Whether an entry has a place in the order. */
  isAt(entry: Entry, { epoch, seq }: Position): boolean {
    return this.#epochs.get(epoch)?.term === entry.term && entry.seq === seq;
  }

  /** Whether a client of a run that is over has all that it could hear of it. */
  hasAllOfRun(lastEventId: string, key: string): boolean {
    if (this.runOf(key)?.newest.run!.is !== 'end' || !this.knows(lastEventId, [key])) return false;
    const { reader, gaps } = this.resume(lastEventId, [key]);
    const { frames, more } = this.read({ ...reader, isOfRun: true }, 1);
    return gaps.length === 0 && frames === undefined && !more;
  }

  /** Why a run is not whole; undefined when it is, or when there never was one. */
  #lossOfRun(key: string, keys: readonly string[]): LossReason | undefined {
    const tail = this.#tails.get(key);
    if (tail === undefined) return undefined;
    const loss = this.#tails.newestLoss(key, keys, () => true);
    if (tail.run === undefined) return loss?.reason;
    if (tail.run.start === undefined || tail.firstOfRun !== tail.run.start) return loss?.reason ?? 'evicted';
    return loss !== undefined && isAfter(loss, tail.run.start) ? loss.reason : undefined;
  }

  /** Hears that a message was taken from a mailbox, here or elsewhere. */
  take(key: string, cursor: string): void {
    const { term, seq } = this.#epochs.placeNamed(cursor) ?? { term: 0, seq: 0 };
    const entry = this.#tails.get(key)?.atPlace(term, seq);
    if (entry !== undefined) this.#unwait(entry, key);
    const lost = this.#lostMail.get(key);
    if (lost?.term === term && lost.seq === seq) this.#lostMail.delete(key);
  }

  /** Hears that someone was told of what a mailbox has lost, up to a place: what still waits here of it comes too late. */
  tell(key: string, cursor: string): void {
    const place = this.#epochs.placeNamed(cursor);
    const lost = this.#lostMail.get(key);
    if (place === undefined) return;
    if (lost !== undefined && !isAfter(lost, place)) this.#lostMail.delete(key);
    this.#unwaitThrough(key, place);
  }

  /** What waits in the mailboxes, of the present epoch. */
  get mail(): Mail {
    const waiting = new Map<string, number[]>();
    for (const { term, seq, waits } of this.#mail?.waiting ?? []) {
      if (term !== this.#epochs.term) continue;
      for (const key of waits!) {
        const seqs = waiting.get(key);
        if (seqs === undefined) waiting.set(key, [seq]);
        else seqs.push(seq);
      }
    }
    const lost = [...this.#lostMail.entries()].filter(([, { term }]) => term === this.#epochs.term);
    return {
      epoch: this.#epochs.name,
      first: this.#epochs.get(this.#epochs.name)?.mailFrom ?? 0,
      last: this.#epochs.seq,
      waiting: [...waiting].map(([key, seqs]) => ({ key, seqs })),
      lost: lost.map(([key, { seq, reason }]) => ({ key, seq, reason })),
    };
  }

  /** Takes over what waits: what does not, of the places that are told of, was taken while this log did not hear of it. */
  sort({ epoch, first, last, waiting, lost }: Mail): void {
    const known = this.#epochs.get(epoch);
    if (known === undefined) return;
    const { term, mailFrom = first } = known;
    known.mailFrom = Math.min(mailFrom, first);
    const isTold = (place: { term: number; seq: number }): boolean =>
      place.term === term && place.seq >= first && place.seq <= last;
    const places = new Map(waiting.map(({ key, seqs }) => [key, new Set(seqs)]));
    for (const entry of this.#mail?.waiting ?? []) {
      if (!isTold(entry)) continue;
      for (const key of entry.waits!) if (places.get(key)?.has(entry.seq) !== true) this.#unwait(entry, key);
    }
    for (const [key, each] of this.#lostMail.entries()) if (isTold(each)) this.#lostMail.delete(key);
    for (const { key, seq, reason } of lost) this.#lostMail.add(key, { term, seq, reason });
  }

  /**
   * A reader of everything after a client's last event id, with the gaps that it must be told of first.
   *
   * A cursor of an earlier epoch reads all that is kept of this one: its client has seen none of it. An id that nobody
   * knows reads from now on, since what its client has seen cannot be told.
   *
   * Of a throttled key it reads the newest message only, and is told of no gap as long as there is one.
   */
  resume(lastEventId: string, keys: readonly string[], throttle?: Throttle): { reader: Reader; gaps: readonly Gap[] } {
    const { cursor, mail } = parseMailCursor(lastEventId) ?? { cursor: lastEventId, mail: undefined };
    const place = this.#placeOf(cursor, keys);
    if (place === undefined) {
      const known = parseCursor(cursor);
      if (known === undefined || known.epoch === this.#epochs.name) {
        return { reader: this.open(keys, throttle).reader, gaps: [{ reason: 'unknown', keys }] };
      }
    }
    const { term, seq } = place ?? { term: this.#epochs.term, seq: 0 };
    // Where it was with its mail, if it had not come to the end of that.
    const mailPlace = place === undefined || mail === undefined ? undefined : this.#epochs.placeNamed(toCursor(mail));
    const gaps = new Gaps();
    const told = new Map<string, number>();
    let position = this.#head;
    for (const key of keys) {
      const tail = this.#tails.get(key);
      if (place === undefined) {
        gaps.add('restarted', key);
      } else {
        const isHeld = throttle?.throttles(key) === true && place.entry === undefined;
        const seen = isHeld && place.heldFrom !== undefined ? { term, seq: place.heldFrom - 1 } : place;
        const after = (tail?.keep !== undefined && mailPlace) || seen;
        const loss = this.#tails.newestLoss(key, keys, (lost, inOrder) => inOrder && isAfter(lost, after));
        if (loss !== undefined && !this.#isMadeUpFor(key, loss, throttle)) gaps.add(loss.reason, key);
      }
      // All that is lost now was just told, or lies before the reader's place.
      const lost = this.#tails.newestLoss(key, keys, () => true);
      if (lost !== undefined) told.set(key, lost.offset);
      const first = tail?.at(tail.indexAfterPlace(term, seq));
      if (first !== undefined) position = Math.min(position, first.offset - 1);
    }
    throttle?.resume(place === undefined ? [] : this.#heldAt(place, keys, throttle));
    const reader: Reader = { ...this.#readFrom(position, keys, throttle), told };
    if (place !== undefined) this.#takeSeen(place, keys);
    if (mailPlace !== undefined) {
      this.#takeSeen(mailPlace, keys);
      this.#moveBack(reader, cursor, (tail) => tail.at(tail.indexAfterPlace(mailPlace.term, mailPlace.seq)));
    }
    return { reader, gaps: gaps.all };
  }

  /**
   * A reader whose place cannot be told yet: the order is out of sight, and its client may have heard of more elsewhere.
   * It reads only what has no place in the order, until it is seated.
   */
  readUnseated(keys: readonly string[], throttle?: Throttle): Reader {
    return { ...this.readFromHead(keys, throttle), seated: false };
  }

  /** Seats a reader after its client's last event id; returns the gaps that it must be told of first. */
  seat(reader: Reader, lastEventId: string | undefined): readonly Gap[] {
    const { keys, position: liveFrom, throttle, showsKeys, isOfRun } = reader;
    if (lastEventId === undefined) {
      // What was published since it came is among what came just now, nobody knows from where on.
      const { reader: opened } = this.open(keys, throttle);
      Object.assign(reader, opened, { liveFrom, showsKeys, isOfRun });
      return [{ reason: 'unknown', keys }];
    }
    const { reader: seated, gaps } = this.resume(lastEventId, keys, throttle);
    Object.assign(reader, seated, { liveFrom, showsKeys, isOfRun });
    return gaps;
  }

  /** Gives a reader other keys: those that are new to it, from now on, with the mail that waits for them and their runs. */
  rekey(reader: Reader, keys: readonly string[], throttled?: ThrottledKeys): void {
    const since = new Map(reader.since);
    const starts = new Map(reader.starts);
    const added = keys.filter((key) => !reader.keys.includes(key));
    for (const key of added) {
      since.set(key, this.#head);
      starts.set(key, this.#head);
    }
    reader.keys = keys;
    if (throttled === undefined) {
      reader.throttle = undefined;
    } else if (reader.throttle === undefined) {
      reader.throttle = new Throttle(throttled);
      reader.throttle.given = reader.position;
    } else {
      reader.throttle.rekey(throttled);
    }
    reader.starts = starts.size > 0 ? starts : undefined;
    reader.since = since.size > 0 ? since : undefined;
    if (reader.seated) this.#addKept(reader, added);
  }

  /** What is kept of the present epoch after a place in it, oldest first. */
  *since(seq: number): Generator<Entry> {
    const held = this.#keeps.flatMap((keep) => [...keep.held]).sort((a, b) => a.offset - b.offset);
    for (const entries of [held, this.#history]) {
      for (const entry of entries)
        if (entry.inOrder && entry.term === this.#epochs.term && entry.seq > seq) yield entry;
    }
  }

  /** Whether a last event id says where a client of these keys was. */
  knows(lastEventId: string, keys: readonly string[]): boolean {
    return this.#placeOf(parseMailCursor(lastEventId)?.cursor ?? lastEventId, keys) !== undefined;
  }

  /** What of the present epoch is lost. */
  get losses(): Losses {
    return this.#tails.lossesOf(this.#epochs.term);
  }

  /**
   * Takes over what is lost of an order that this log joins or missed a part of, or of an epoch that it followed before;
   * what is kept is appended afterwards. Readers that are behind are told.
   */
  lose(epoch: string, { keys, others }: Losses): void {
    if (this.#epochs.get(epoch) === undefined) this.begin({ epoch, seq: 0 });
    const { term, seq: heard } = this.#epochs.get(epoch)!;
    const isNews = ({ seq }: { seq: number }): boolean => seq > heard;
    const news = new Map(keys.filter(isNews).map(({ key, seq, reason }) => [key, { seq, reason }]));
    // Those that the other log has forgotten may have lost as much as the last of them.
    if (others !== undefined && isNews(others)) {
      for (const key of this.#tails.keys()) if (!news.has(key)) news.set(key, others);
    }
    if (news.size === 0 && (others === undefined || !isNews(others))) return;
    const offset = ++this.#head;
    this.#lostThrough = offset;
    for (const [key, { seq, reason }] of news) {
      this.#tails.lose(key, { offset, term, seq, reason });
    }
    if (others !== undefined && isNews(others)) {
      this.#tails.loseOthers({ offset, term, ...others });
    }
  }

  /** The cursor of a reader's place: resuming from it reads on exactly there. */
  cursorAt(reader: Reader): string | undefined {
    const place = this.#placeAt(reader);
    const { throttle, floor } = reader;
    if (place === undefined) return undefined;
    if (floor !== undefined && place.offset <= floor.offset) {
      return toMailCursor(floor.cursor, this.#cursorOf(place, []));
    }
    if (throttle === undefined) return this.#cursorOf(place, []);
    // From now on its client has an id as new as that.
    throttle.given = Math.max(throttle.given, reader.position);
    return this.#cursorOf(place, throttle.held);
  }

  /** The cursor of a place, for a client from whom some entries are held back. Oldest first. */
  #cursorOf({ term, seq }: { term: number; seq: number }, held: readonly Entry[]): string {
    const epoch = this.#epochs.nameOf(term);
    const oldest = held.find((entry) => entry.inOrder && entry.term === term && entry.seq <= seq);
    return oldest === undefined ? toCursor({ epoch, seq }) : toCursor({ epoch, seq, heldFrom: oldest.seq });
  }

  /** Where a reader is in the order, and the offset of what comes next. */
  #placeAt(reader: Reader): { term: number; seq: number; offset: number } | undefined {
    let first: Entry | undefined;
    for (const key of reader.keys) {
      const tail = this.#tails.get(key);
      if (tail === undefined) continue;
      const from = Math.max(reader.position, reader.since?.get(key) ?? 0);
      for (let i = tail.indexAfter(from); i < tail.length; i++) {
        const entry = tail.at(i)!;
        if (!entry.inOrder || this.#isPassedOver(entry, key, reader)) continue;
        if (first === undefined || entry.offset < first.offset) first = entry;
        break;
      }
    }
    if (first !== undefined) return { term: first.term, seq: first.seq - 1, offset: first.offset };
    const offset = Number.POSITIVE_INFINITY;
    return this.place === undefined ? undefined : { term: this.#epochs.term, seq: this.#epochs.seq, offset };
  }

  /**
   * Reads what comes after a reader's position, up to `maxBytes` but at least one message, and moves the reader on.
   *
   * What is lost in between comes as gaps, each told once.
   */
  read(reader: Reader, maxBytes: number): Batch {
    const { throttle, position, liveFrom } = reader;
    if (position === this.#head && throttle === undefined) return NOTHING;
    const gaps = reader.seated ? this.#gapsOf(reader) : NO_GAPS;
    if (throttle !== undefined) return this.#readThrottled(reader, throttle, { maxBytes, gaps });
    const shared = this.#shared;
    if (
      shared === undefined ||
      shared.keys !== reader.keys ||
      shared.from !== position ||
      shared.head !== this.#head ||
      shared.maxBytes !== maxBytes ||
      gaps.length > 0 ||
      !reader.seated ||
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

  #readFrom(position: number, keys: readonly string[], throttle: Throttle | undefined): Reader {
    if (throttle !== undefined) throttle.given = position;
    return {
      keys,
      position,
      liveFrom: this.#head,
      seated: true,
      from: position,
      starts: undefined,
      since: undefined,
      told: undefined,
      mail: undefined,
      floor: undefined,
      throttle,
      showsKeys: false,
      isOfRun: false,
    };
  }

  #readAnew(reader: Reader, { maxBytes, gaps }: { maxBytes: number; gaps: readonly Gap[] }): Batch {
    const { keys, position: from, liveFrom, since, mail, floor } = reader;
    const resumeAt = gaps.length === 0 ? undefined : this.cursorAt(reader);
    const { entries, more, isForAll } = this.#merge(reader, maxBytes);
    this.#moveOn(reader, more ? entries.at(-1)!.offset : this.#head, more);
    const frames = this.#encode(textOf(reader, entries, (entry) => this.#idFor(entry, floor)));
    const isEnd = reader.isOfRun && entries.some(({ run }) => run?.is === 'end');
    const batch: Batch = { frames, count: entries.length, gaps, resumeAt, more, isEnd };
    const isShareable = gaps.length === 0 && reader.seated && since === undefined && mail === undefined;
    if (isShareable && (isForAll || from >= liveFrom)) {
      this.#shared = { keys, from, head: this.#head, maxBytes, to: reader.position, isForAll, batch };
    }
    return batch;
  }

  #readThrottled(
    reader: Reader,
    throttle: Throttle,
    { maxBytes, gaps }: { maxBytes: number; gaps: readonly Gap[] },
  ): Batch {
    const { liveFrom, since } = reader;
    const now = this.#now();
    const resumeAt = gaps.length === 0 ? undefined : this.cursorAt(reader);
    // Where its client is, as far as it knows: what was held back goes out under that.
    const place = throttle.isHolding ? this.#placeAt(reader) : undefined;
    const { entries, more } = this.#merge(reader, maxBytes);
    const { floor } = reader;
    // Mail waits for as long as it has to: it is not throttled.
    const mail = floor === undefined ? [] : entries.filter(({ offset }) => offset <= floor.offset);
    const leaving: Entry[] = [];
    for (const entry of entries.slice(mail.length)) {
      leaving.push(...throttle.take(entry, { isLive: entry.offset > liveFrom, since, now }));
    }
    this.#moveOn(reader, more ? entries.at(-1)!.offset : this.#head, more);
    const isLate = throttle.isHolding && reader.floor === undefined && (!more || reader.position >= liveFrom);
    if (isLate) leaving.push(...throttle.release(now, maxBytes));
    leaving.sort((a, b) => a.offset - b.offset);
    const text = textOf(reader, [...mail, ...leaving], (entry, i) =>
      i < mail.length
        ? this.#idFor(entry, floor)
        : this.#lateIdFor(entry, { leaving, i: i - mail.length, throttle, place }),
    );
    const isMoreDue = isLate && throttle.isDue(now);
    const count = mail.length + leaving.length;
    return { frames: this.#encode(text), count, gaps, resumeAt, more: more || isMoreDue, isEnd: false };
  }

  /** An entry's id for a throttled reader: it never takes its client back, nor past what is held back from it. */
  #lateIdFor(
    entry: Entry,
    {
      leaving,
      i,
      throttle,
      place,
    }: {
      leaving: readonly Entry[];
      i: number;
      throttle: Throttle;
      place: { term: number; seq: number } | undefined;
    },
  ): string | undefined {
    if (!entry.inOrder) return this.#idOf(entry);
    if (entry.offset <= throttle.given && place !== undefined) {
      const late = [...throttle.held, ...leaving.slice(i + 1)].sort((a, b) => a.offset - b.offset);
      return this.#cursorOf(place, late);
    }
    throttle.given = entry.offset;
    // The publisher's own id goes out as given: whoever comes back with it gets the newest of all throttled keys.
    if (entry.id !== undefined || !throttle.isHolding) return this.#idOf(entry);
    return this.#cursorOf(entry, throttle.held);
  }

  /** What may have been held back from a client of some keys who comes back to a place, oldest first. */
  #heldAt({ term, seq, heldFrom, entry: own }: ClientPlace, keys: readonly string[], throttle: Throttle): Entry[] {
    if (heldFrom === undefined) return [];
    const held = new Set<Entry>();
    // What the client has for sure; nothing older of its keys is to come after it.
    const seen: Entry[] = [];
    for (const key of keys) {
      const tail = throttle.throttles(key) ? this.#tails.get(key) : undefined;
      if (tail === undefined) continue;
      let index = tail.indexAfterPlace(term, seq) - 1;
      // Without a place in the order it is live only.
      while (tail.at(index)?.inOrder === false) index--;
      const newest = tail.at(index);
      if (index < 0 || newest === undefined || newest.term !== term || newest.seq < heldFrom) continue;
      if (newest === own || throttle.isWhole(newest)) seen.push(newest);
      else held.add(newest);
    }
    const isOver = (entry: Entry): boolean =>
      seen.some(
        ({ offset, keys: those }) =>
          offset > entry.offset && those.some((key) => throttle.throttles(key) && entry.keys.includes(key)),
      );
    return [...held].filter((entry) => !isOver(entry)).sort((a, b) => a.offset - b.offset);
  }

  /** Whether a loss of a throttled key is none: a newer message of it is kept. */
  #isMadeUpFor(key: string, loss: Loss, throttle: Throttle | undefined): boolean {
    const tail = throttle?.throttles(key) === true ? this.#tails.get(key) : undefined;
    if (tail === undefined) return false;
    let index = tail.length - 1;
    while (tail.at(index)?.inOrder === false) index--;
    return index >= 0 && isAfter(tail.at(index)!, loss);
  }

  #gapsOf(reader: Reader): readonly Gap[] {
    // Most readers are past all that is lost.
    if (reader.position >= this.#lostThrough) return NO_GAPS;
    const gaps = new Gaps();
    for (const key of reader.keys) {
      const known = Math.max(reader.position, reader.since?.get(key) ?? 0, reader.told?.get(key) ?? 0);
      const loss = this.#tails.newestLoss(
        key,
        reader.keys,
        ({ offset }, inOrder) => offset > known && (inOrder || offset > reader.liveFrom),
      );
      if (loss === undefined || this.#isMadeUpFor(key, loss, reader.throttle)) continue;
      gaps.add(loss.reason, key);
      reader.told ??= new Map();
      reader.told.set(key, loss.offset);
    }
    return gaps.all;
  }

  /** The entries of all of a reader's keys after its position, in order, each once. What is mail is taken by that. */
  #merge(reader: Reader, maxBytes: number): { entries: Entry[]; more: boolean; isForAll: boolean } {
    const { keys, position, liveFrom, seated, since } = reader;
    const sources: { tail: Tail; index: number }[] = [];
    for (const key of keys) {
      const tail = this.#tails.get(key);
      if (tail === undefined) continue;
      const index = tail.indexAfter(Math.max(position, since?.get(key) ?? 0));
      const source = { tail, index };
      this.#passOver(source, reader);
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
      // Without a place in the order it is live only: whoever resumes may have seen it.
      const theirs = next.inOrder ? seated : next.offset > liveFrom;
      isForAll &&= next.inOrder;
      if (theirs) {
        bytes += next.bytes + (reader.showsKeys ? Buffer.byteLength(keysLine(next, keys)) : 0);
        if (bytes > maxBytes && entries.length > 0) return { entries, more: true, isForAll };
        entries.push(next);
      }
      for (const source of sources) {
        if (source.tail.at(source.index) !== next) continue;
        source.index++;
        this.#passOver(source, reader);
        if (theirs && source.tail.keep === this.#mail && this.#mail !== undefined)
          this.#takeHere(next, source.tail.key);
      }
    }
  }

  /** Moves a source on to what is the reader's: of mail, only what waits. */
  #passOver(source: { readonly tail: Tail; index: number }, reader: Reader): void {
    if (reader.mail === undefined) return;
    for (;;) {
      const entry = source.tail.at(source.index);
      if (entry === undefined || !this.#isPassedOver(entry, source.tail.key, reader)) return;
      source.index++;
    }
  }

  #isPassedOver(entry: Entry, key: string, { mail }: Reader): boolean {
    const until = mail?.get(key);
    return until !== undefined && entry.offset <= until && entry.waits?.has(key) !== true;
  }

  /** An entry's id for a reader; that of mail from before it came says where it is with everything else. */
  #idFor(entry: Entry, floor: Reader['floor']): string | undefined {
    if (floor === undefined || entry.offset > floor.offset || entry.id !== undefined) return this.#idOf(entry);
    return toMailCursor(floor.cursor, this.#cursorOf(entry, []));
  }

  #idOf(entry: Entry): string | undefined {
    return entry.id ?? (entry.inOrder ? this.#cursorOf(entry, []) : undefined);
  }

  #encode(text: string): Buffer | undefined {
    if (text === '') return undefined;
    if (this.#encoded?.text !== text) this.#encoded = { text, bytes: Buffer.from(text) };
    return this.#encoded.bytes;
  }

  /** Gives a reader the mail that waits for some of its keys, and those of them that are runs from their start. */
  #addKept(reader: Reader, keys: readonly string[]): void {
    const boxes = this.#mailboxesOf(keys).filter((key) => (this.#tails.get(key)?.waiting ?? 0) > 0);
    const runs = this.#runsOf(keys).filter((key) => this.#tails.has(key));
    if (boxes.length + runs.length === 0) return;
    reader.mail = new Map(reader.mail);
    reader.told = new Map(reader.told);
    for (const key of boxes) reader.mail.set(key, this.#head);
    for (const key of [...boxes, ...runs]) {
      // It was not owed what others took before, and has been told of what its runs have lost.
      const lost = this.#tails.newestLoss(key, reader.keys, () => true);
      if (lost !== undefined) reader.told.set(key, lost.offset);
    }
    const cursor = this.cursorAt(reader);
    // Without an order there is nothing to give.
    if (cursor === undefined) return;
    this.#moveBack(reader, cursor, (tail) => {
      if (boxes.includes(tail.key)) return tail.firstWaiting;
      return runs.includes(tail.key) ? tail.firstOfRun : undefined;
    });
  }

  /** Moves a reader back to what is kept of some keys, but with no other key; `cursor` says where it is with those. */
  #moveBack(reader: Reader, cursor: string, firstOf: (tail: Tail) => Entry | undefined): void {
    const since = new Map<string, number>();
    let { position } = reader;
    for (const key of reader.keys) {
      const tail = this.#tails.get(key);
      const first = tail?.keep === undefined ? undefined : firstOf(tail);
      const known = Math.max(reader.position, reader.since?.get(key) ?? 0);
      const from = first === undefined ? known : Math.min(known, first.offset - 1);
      since.set(key, from);
      position = Math.min(position, from);
    }
    reader.floor ??= { offset: reader.position, cursor };
    reader.since = since;
    reader.position = position;
  }

  /** A client that names the place of a message has got it, though whoever wrote it may have died before it said so. */
  #takeSeen({ term, seq }: { term: number; seq: number }, keys: readonly string[]): void {
    for (const key of this.#mailboxesOf(keys)) {
      const entry = this.#tails.get(key)?.atPlace(term, seq);
      if (entry !== undefined) this.#takeHere(entry, key);
    }
  }

  /** Someone here who holds a mailbox has a message. */
  #takeHere(entry: Entry, key: string): void {
    const cursor = (): string => toCursor({ epoch: this.#epochs.nameOf(entry.term), seq: entry.seq });
    if (this.#unwait(entry, key)) {
      this.#post!.onTake(key, cursor());
      return;
    }
    const lost = this.#lostMail.get(key);
    if (lost?.term === entry.term && lost.seq === entry.seq) this.#tell(key, lost);
  }

  #tell(key: string, { term, seq }: { term: number; seq: number }): void {
    this.#lostMail.delete(key);
    this.#unwaitThrough(key, { term, seq });
    this.#post!.onTell(key, toCursor({ epoch: this.#epochs.nameOf(term), seq }));
  }

  #unwaitThrough(key: string, place: { term: number; seq: number }): void {
    const tail = this.#tails.get(key);
    if (tail === undefined) return;
    for (let i = 0; tail.waiting > 0; i++) {
      const entry = tail.at(i);
      if (entry === undefined || isAfter(entry, place)) return;
      this.#unwait(entry, key);
    }
  }

  #unwait(entry: Entry, key: string): boolean {
    const { waits } = entry;
    if (waits?.has(key) !== true) return false;
    const tail = this.#tails.get(key)!;
    tail.waiting--;
    if (entry.run === undefined) waits.delete(key);
    if (entry.run === undefined && waits.size > 0) return true;
    entry.waits = undefined;
    this.#keepOf(entry)!.waiting.delete(entry);
    if (entry.heldFor === undefined) return true;
    entry.doneAt = this.#now();
    this.#done.add(entry);
    return true;
  }

  /** Gives up waiting for someone to take a message from a mailbox, or keeping it for a run. */
  #lapse(entry: Entry, key: string, reason: LossReason): void {
    if (!this.#unwait(entry, key)) return;
    this.#rememberUntaken(entry, key, reason);
    if (entry.heldFor !== undefined && entry.waits === undefined) this.#forget(entry, reason);
  }

  /** Lets go of the oldest messages of a mailbox or a run that has too many. */
  #emptyOver(tail: Tail, { bounds, full }: Keep, through: number): void {
    for (let i = 0; tail.waiting > bounds.count;) {
      const entry = tail.at(i);
      if (entry === undefined || entry.offset > through) return;
      this.#lapse(entry, tail.key, 'evicted');
      if (tail.at(i) === entry) i++;
    }
    full.delete(tail);
  }

  #rememberUntaken({ run, term, seq }: Entry, key: string, reason: LossReason): void {
    // All who read a run are told, whatever others were.
    if (run === undefined) this.#lostMail.add(key, { term, seq, reason });
  }

  #mailboxesOf(keys: readonly string[]): string[] {
    return this.#post === undefined ? [] : mailboxesOf(this.#post.mailbox, keys);
  }

  /** The ones of some keys that are of runs. */
  #runsOf(keys: readonly string[]): string[] {
    return this.#runs === undefined ? [] : keys.filter(isRunKey);
  }

  /** What keeps the entries of a key. */
  #keepFor(key: string): Keep | undefined {
    if (isRunKey(key)) return this.#runs;
    return this.#mailboxesOf([key]).length > 0 ? this.#mail : undefined;
  }

  /** What keeps an entry. */
  #keepOf({ run }: Entry): Keep | undefined {
    return run === undefined ? this.#mail : this.#runs;
  }

  /** The ones of an entry's keys that it is kept for when it leaves the history. */
  #keptKeysOf({ run, keys }: Entry): readonly string[] {
    return run === undefined ? this.#mailboxesOf(keys) : this.#runsOf(keys);
  }

  /** How many entries a tail may have: of a mailbox or a run, what waits is bounded by itself. */
  #limitOf({ keep }: Tail): number {
    return this.#bounds.count + (keep?.bounds.count ?? 0);
  }

  #placeOf(lastEventId: string, keys: readonly string[]): ClientPlace | undefined {
    // An id given twice means the older: its client gets some messages again, rather than never.
    const entry = this.#ids.find(lastEventId, keys);
    // An id of the publisher's does not say what was held back: all may have been.
    if (entry !== undefined) return { term: entry.term, seq: entry.seq, heldFrom: 0, entry };
    const position = parseCursor(lastEventId);
    if (position === undefined) return undefined;
    const term = this.#epochs.get(position.epoch)?.term;
    if (term === undefined || (term === this.#epochs.term && position.seq > this.#epochs.seq)) return undefined;
    return { term, seq: position.seq, heldFrom: position.heldFrom };
  }

  /** Counts a tail among the bytes of the history as long as something of it is kept. */
  #weigh(tail: Tail): void {
    if (tail.isOfHistory === tail.isWeighed) return;
    tail.isWeighed = !tail.isWeighed;
    const bytes = keyCost(tail.key);
    this.#bytes += tail.isWeighed ? bytes : -bytes;
  }

  /** Lets go of the oldest entry of the history; mailboxes keep what waits in them, and runs what is theirs. */
  #dropOldest(reason: LossReason): void {
    const entry = this.#history.oldest!;
    if (entry.waits === undefined) this.#forget(entry, reason);
    else this.#hold(entry, reason);
  }

  /** Lets go of the oldest entry of a key, but not of its other keys. */
  #trim(tail: Tail): void {
    const oldest = tail.oldest!;
    if (oldest.waits?.has(tail.key) === true) {
      this.#unwait(oldest, tail.key);
      this.#rememberUntaken(oldest, tail.key, 'evicted');
    }
    if (oldest.heldFor !== undefined) tail.held--;
    this.#lostThrough = Math.max(this.#lostThrough, oldest.offset);
    const entry = tail.stray();
    if (--entry.holders === 0) this.#forget(entry, 'evicted');
  }

  /** Keeps an entry that leaves the history for the mailboxes in which it waits, or for its run. */
  #hold(entry: Entry, reason: LossReason): void {
    const keep = this.#keepOf(entry)!;
    this.#history.remove(entry);
    this.#bytes -= entry.weight;
    entry.heldFor = reason;
    keep.held.push(entry);
    keep.heldBytes += this.#heldCost(entry);
    this.#lostThrough = Math.max(this.#lostThrough, entry.offset);
    this.#shared = undefined;
    for (const key of entry.keys) {
      const tail = this.#tails.get(key);
      if (tail === undefined) continue;
      if (tail.keep === keep) {
        if (!tail.strays.has(entry)) tail.held++;
      } else {
        if (tail.remove(entry)) entry.holders--;
        tail.lose(entry, reason);
      }
      this.#weigh(tail);
      if (tail.isEmpty) this.#rememberEmpty(tail);
    }
    while (keep.heldBytes > keep.bounds.bytes) this.#forget(keep.held.oldest!, 'evicted');
  }

  #forget(entry: Entry, reason: LossReason): void {
    const isHeld = entry.heldFor !== undefined;
    const keep = this.#keepOf(entry);
    if (isHeld) {
      keep!.held.remove(entry);
      keep!.heldBytes -= this.#heldCost(entry);
      this.#done.delete(entry);
    } else {
      this.#history.remove(entry);
      this.#bytes -= entry.weight;
    }
    if (entry.id !== undefined) this.#ids.delete(entry.id, entry);
    this.#lostThrough = Math.max(this.#lostThrough, entry.offset);
    this.#shared = undefined;
    keep?.waiting.delete(entry);
    // Its other keys lost it when it left the history.
    for (const key of isHeld ? this.#keptKeysOf(entry) : entry.keys) {
      const tail = this.#tails.get(key);
      if (tail === undefined) continue;
      if (entry.waits?.has(key) === true) {
        tail.waiting--;
        this.#rememberUntaken(entry, key, reason);
      }
      if (tail.remove(entry) && isHeld) tail.held--;
      tail.lose(entry, reason);
      this.#weigh(tail);
      if (tail.isEmpty) this.#rememberEmpty(tail);
    }
    entry.waits = undefined;
  }

  #heldCost(entry: Entry): number {
    // A run has one tail, and its start stands for it.
    const keys = entry.run === undefined || entry.run.is === 'start' ? this.#keptKeysOf(entry) : [];
    return keys.reduce((sum, key) => sum + keyCost(key), entry.weight);
  }

  #rememberEmpty(tail: Tail): void {
    this.#longTails.delete(tail);
    tail.keep?.full.delete(tail);
    tail.run = undefined;
    this.#tails.setEmpty(tail);
  }
}
