import { Chain } from './chain';
import { toCursor, type Position } from '../order/cursor';
import { keyCost, weigh, type Append, type Entry } from './entry';
import { Epochs } from './epochs';
import { frameBytes } from '../message/message';
import { Keep, type KeepBounds } from './archive';
import { LostMails } from './mailboxes';
import type { Losses, Mail, RunPart, LossReason } from '../order/broker';
import type { Post } from './mail';
import { mailboxesOf, isRunKey } from '../message/keys';
import { OwnIds } from './own_ids';
import { isAfter, type RunState, type Tail } from './tail';
import { Tails } from './tails';

/** The bounds of a log: ms, messages per key, bytes in all. */
export interface LogBounds {
  readonly age: number;
  readonly count: number;
  readonly bytes: number;
}

/**
 * What is kept of what this process delivered, in order, by key; and what is known of what is not kept any more.
 *
 * Never holds more than `bytes` and one message. Lets go by `count` and `age` only of what was settled, so that a burst
 * reaches every client that keeps up. Mailboxes and runs keep what is theirs longer.
 */
export class Retention {
  readonly #bounds: LogBounds;
  protected readonly now: () => number;
  protected readonly tails: Tails;
  /** Tails with more than `count` entries. */
  readonly #longTails = new Set<Tail>();
  protected readonly ids = new OwnIds();
  protected readonly epochs = new Epochs();
  #head = 0;
  #settled = 0;
  /** The highest offset of anything that some key has lost. */
  protected lostThrough = 0;
  readonly #history = new Chain<Entry>();
  #bytes = 0;
  readonly #post: Post | undefined;
  /** What is kept for mailboxes, and for runs; undefined when there are none. */
  readonly #mail: Keep | undefined;
  readonly #runs: Keep | undefined;
  readonly #keeps: readonly Keep[];
  /** What is held, though no mailbox waits for it any more, as long as someone who lost it on the way may come back. */
  readonly #done = new Set<Entry>();
  protected readonly lostMail = new LostMails();

  constructor(bounds: LogBounds, now: () => number = () => performance.now(), post?: Post, runs?: KeepBounds) {
    this.#bounds = bounds;
    this.now = now;
    this.#post = post;
    this.#mail = post && new Keep(post.mailbox);
    this.#runs = runs && new Keep(runs);
    this.tails = new Tails((key) => this.#keepFor(key));
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
      keys: this.tails.size,
    };
  }

  /** How far the newest run of a key has come, as long as something of it is kept. */
  runOf(key: string): RunState | undefined {
    return this.tails.get(key)?.run;
  }

  /** The newest place in the order; `undefined` before there is an order. */
  get place(): Position | undefined {
    return this.epochs.position;
  }

  /** The cursor of the newest place in the order. */
  get cursor(): string | undefined {
    return this.place === undefined ? undefined : toCursor(this.place);
  }

  /** Says which epoch the order is in, so that cursors can be given before its first message. */
  begin(position: Position): void {
    this.epochs.begin(position);
  }

  /** Takes the next message. Of what its run has no place for, as after the run's end, it takes the place alone. */
  append({ keys, body, id, event, nonce, act, run, position, age = 0 }: Append): Entry | undefined {
    if (position !== undefined) this.begin(position);
    if (run !== undefined && !this.#belongs(run, keys[0]!)) return undefined;
    const keptFor = position === undefined ? [] : run === undefined ? this.mailboxesOf(keys) : this.runsOf(keys);
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
      term: this.epochs.term,
      seq: this.epochs.seq,
      inOrder: position !== undefined,
      appendedAt: this.now() - age,
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
      const tail = this.tails.for(key);
      tail.push(entry);
      this.#weigh(tail);
      if (run?.is === 'start') tail.run = { start: entry, newest: entry };
      else if (run !== undefined) (tail.run ??= { start: undefined, newest: entry }).newest = entry;
      if (tail.length > this.#limitOf(tail)) this.#longTails.add(tail);
      if (entry.waits?.has(key) === true && ++tail.waiting > keep!.bounds.count) keep!.full.add(tail);
    }
    if (id !== undefined) this.ids.add(id, entry);
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
    const known = this.epochs.placeNamed(since) ?? { term: 0, seq: 0 };
    return !isAfter(state.start ?? state.newest, known);
  }

  /** Says that every reader who keeps up has everything through this offset; lets go of what is over the bounds. */
  settle(through: number): void {
    this.#settled = through;
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
    const now = this.now();
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

  /** Whether an entry has a place in the order. */
  isAt(entry: Entry, { epoch, seq }: Position): boolean {
    return this.epochs.get(epoch)?.term === entry.term && entry.seq === seq;
  }

  /** Hears that a message was taken from a mailbox, here or elsewhere. */
  take(key: string, cursor: string): void {
    const { term, seq } = this.epochs.placeNamed(cursor) ?? { term: 0, seq: 0 };
    const entry = this.tails.get(key)?.atPlace(term, seq);
    if (entry !== undefined) this.#unwait(entry, key);
    const lost = this.lostMail.get(key);
    if (lost?.term === term && lost.seq === seq) this.lostMail.delete(key);
  }

  /** Hears that someone was told of what a mailbox has lost, up to a place: what still waits here of it comes too late. */
  tell(key: string, cursor: string): void {
    const place = this.epochs.placeNamed(cursor);
    const lost = this.lostMail.get(key);
    if (place === undefined) return;
    if (lost !== undefined && !isAfter(lost, place)) this.lostMail.delete(key);
    this.#unwaitThrough(key, place);
  }

  /** What waits in the mailboxes, of the present epoch. */
  get mail(): Mail {
    const waiting = new Map<string, number[]>();
    for (const { term, seq, waits } of this.#mail?.waiting ?? []) {
      if (term !== this.epochs.term) continue;
      for (const key of waits!) {
        const seqs = waiting.get(key);
        if (seqs === undefined) waiting.set(key, [seq]);
        else seqs.push(seq);
      }
    }
    const lost = [...this.lostMail.entries()].filter(([, { term }]) => term === this.epochs.term);
    return {
      epoch: this.epochs.name,
      first: this.epochs.get(this.epochs.name)?.mailFrom ?? 0,
      last: this.epochs.seq,
      waiting: [...waiting].map(([key, seqs]) => ({ key, seqs })),
      lost: lost.map(([key, { seq, reason }]) => ({ key, seq, reason })),
    };
  }

  /** Takes over what waits: what does not, of the places that are told of, was taken while this log did not hear of it. */
  sort({ epoch, first, last, waiting, lost }: Mail): void {
    const known = this.epochs.get(epoch);
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
    for (const [key, each] of this.lostMail.entries()) if (isTold(each)) this.lostMail.delete(key);
    for (const { key, seq, reason } of lost) this.lostMail.add(key, { term, seq, reason });
  }

  /** What is kept of the present epoch after a place in it, oldest first. */
  *since(seq: number): Generator<Entry> {
    const held = this.#keeps.flatMap((keep) => [...keep.held]).sort((a, b) => a.offset - b.offset);
    for (const entries of [held, this.#history]) {
      for (const entry of entries) if (entry.inOrder && entry.term === this.epochs.term && entry.seq > seq) yield entry;
    }
  }

  /** What of the present epoch is lost. */
  get losses(): Losses {
    return this.tails.lossesOf(this.epochs.term);
  }

  /**
   * Takes over what is lost of an order that this log joins or missed a part of, or of an epoch that it followed before;
   * what is kept is appended afterwards. Readers that are behind are told.
   */
  lose(epoch: string, { keys, others }: Losses): void {
    if (this.epochs.get(epoch) === undefined) this.begin({ epoch, seq: 0 });
    const { term, seq: heard } = this.epochs.get(epoch)!;
    const isNews = ({ seq }: { seq: number }): boolean => seq > heard;
    const news = new Map(keys.filter(isNews).map(({ key, seq, reason }) => [key, { seq, reason }]));
    // Those that the other log has forgotten may have lost as much as the last of them.
    if (others !== undefined && isNews(others)) {
      for (const key of this.tails.keys()) if (!news.has(key)) news.set(key, others);
    }
    if (news.size === 0 && (others === undefined || !isNews(others))) return;
    const offset = ++this.#head;
    this.lostThrough = offset;
    for (const [key, { seq, reason }] of news) {
      this.tails.lose(key, { offset, term, seq, reason });
    }
    if (others !== undefined && isNews(others)) {
      this.tails.loseOthers({ offset, term, ...others });
    }
  }

  /** Someone here who holds a mailbox has a message. */
  protected takeHere(entry: Entry, key: string): void {
    const cursor = (): string => toCursor({ epoch: this.epochs.nameOf(entry.term), seq: entry.seq });
    if (this.#unwait(entry, key)) {
      this.#post!.onTake(key, cursor());
      return;
    }
    const lost = this.lostMail.get(key);
    if (lost?.term === entry.term && lost.seq === entry.seq) this.tellLost(key, lost);
  }

  protected tellLost(key: string, { term, seq }: { term: number; seq: number }): void {
    this.lostMail.delete(key);
    this.#unwaitThrough(key, { term, seq });
    this.#post!.onTell(key, toCursor({ epoch: this.epochs.nameOf(term), seq }));
  }

  #unwaitThrough(key: string, place: { term: number; seq: number }): void {
    const tail = this.tails.get(key);
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
    const tail = this.tails.get(key)!;
    tail.waiting--;
    if (entry.run === undefined) waits.delete(key);
    if (entry.run === undefined && waits.size > 0) return true;
    entry.waits = undefined;
    this.#keepOf(entry)!.waiting.delete(entry);
    if (entry.heldFor === undefined) return true;
    entry.doneAt = this.now();
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
    if (run === undefined) this.lostMail.add(key, { term, seq, reason });
  }

  protected mailboxesOf(keys: readonly string[]): string[] {
    return this.#post === undefined ? [] : mailboxesOf(this.#post.mailbox, keys);
  }

  /** The ones of some keys that are of runs. */
  protected runsOf(keys: readonly string[]): string[] {
    return this.#runs === undefined ? [] : keys.filter(isRunKey);
  }

  /** What keeps the entries of a key. */
  #keepFor(key: string): Keep | undefined {
    if (isRunKey(key)) return this.#runs;
    return this.mailboxesOf([key]).length > 0 ? this.#mail : undefined;
  }

  /** Whether a key is that of a mailbox. */
  protected isMailbox({ keep }: Tail): boolean {
    return keep !== undefined && keep === this.#mail;
  }

  /** What keeps an entry. */
  #keepOf({ run }: Entry): Keep | undefined {
    return run === undefined ? this.#mail : this.#runs;
  }

  /** The ones of an entry's keys that it is kept for when it leaves the history. */
  #keptKeysOf({ run, keys }: Entry): readonly string[] {
    return run === undefined ? this.mailboxesOf(keys) : this.runsOf(keys);
  }

  /** How many entries a tail may have: of a mailbox or a run, what waits is bounded by itself. */
  #limitOf({ keep }: Tail): number {
    return this.#bounds.count + (keep?.bounds.count ?? 0);
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
    this.lostThrough = Math.max(this.lostThrough, oldest.offset);
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
    this.lostThrough = Math.max(this.lostThrough, entry.offset);
    for (const key of entry.keys) {
      const tail = this.tails.get(key);
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
    if (entry.id !== undefined) this.ids.delete(entry.id, entry);
    this.lostThrough = Math.max(this.lostThrough, entry.offset);
    keep?.waiting.delete(entry);
    // Its other keys lost it when it left the history.
    for (const key of isHeld ? this.#keptKeysOf(entry) : entry.keys) {
      const tail = this.tails.get(key);
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
    this.tails.setEmpty(tail);
  }
}
