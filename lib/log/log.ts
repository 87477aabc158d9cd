import { isMailbox, isRunKey } from '../message/keys';
import { frameBytes } from '../message/frame';
import type { Bounds, SseMailbox } from '../options/options';
import type { Handover, Losses, LossReason, Message, PlacedMessage, RunPart } from '../order/broker';
import { toCursor, type Position } from '../order/cursor';
import { Archive } from './archive';
import { Chain, keyCost, toMessage, weigh, type Entry } from './entry';
import { Epochs } from './epochs';
import { Mailboxes } from './mailboxes';
import { OwnIds } from './own_ids';
import { belongs, Tails, type RunState, type Tail } from './tails';
import type { TakenMail } from './taken_mail';

const NOTHING: Bounds = { age: 0, count: 0, bytes: 0 };
const NOBODY: Pick<TakenMail, 'take' | 'tell'> = { take: () => undefined, tell: () => undefined };

/** How much a log keeps of its keys, and for how long. */
export interface LogOptions {
  readonly history: Bounds;
  readonly mailbox?: SseMailbox | false;
  readonly runs?: Bounds | false;
  /** Tells the other processes of mail that is taken here. Left out: they are not told. */
  readonly taken?: Pick<TakenMail, 'take' | 'tell'>;
  /** ms of a monotonic clock. */
  readonly now?: () => number;
}

/**
 * The messages that this process delivered, in order, by key, as long as they are kept; and which others are lost.
 *
 * Never keeps more than `bytes` and one message. Lets go by `count` and `age` only of settled messages, so that a burst
 * reaches every client that is not behind. Mailboxes and runs are archived: their messages are kept longer.
 */
export class Log {
  readonly now: () => number;
  readonly tails: Tails;
  readonly ids = new OwnIds();
  readonly epochs = new Epochs();
  readonly mailboxes: Mailboxes;
  readonly #bounds: Bounds;
  /** Tails with more than `count` entries. */
  readonly #longTails = new Set<Tail>();
  #head = 0;
  #settled = 0;
  #lostThrough = 0;
  readonly #history = new Chain<Entry>();
  #bytes = 0;
  readonly #mail: Archive;
  readonly #runs: Archive;
  readonly #archives: readonly Archive[];

  constructor({ history, mailbox = false, runs = false, taken = NOBODY, now = () => performance.now() }: LogOptions) {
    this.#bounds = history;
    this.now = now;
    this.#mail = new Archive(mailbox || NOTHING, (key) => mailbox !== false && isMailbox(mailbox.keys, key));
    this.#runs = new Archive(runs || NOTHING, (key) => runs !== false && isRunKey(key));
    this.#archives = [this.#mail, this.#runs];
    this.tails = new Tails((key) => this.#archives.find((archive) => archive.keeps(key)));
    this.mailboxes = new Mailboxes({ archive: this.#mail, tails: this.tails, epochs: this.epochs, now, taken });
  }

  /** The offset of the newest entry. */
  get head(): number {
    return this.#head;
  }

  /** The highest offset of anything that some key has lost. */
  get lostThrough(): number {
    return this.#lostThrough;
  }

  /** Numbers of messages, and the bytes they are counted as, of the history, of archived mail and runs; and of keys. */
  get size(): Record<
    'messages' | 'bytes' | 'mailMessages' | 'mailBytes' | 'runMessages' | 'runBytes' | 'keys',
    number
  > {
    return {
      messages: this.#history.length,
      bytes: this.#bytes,
      mailMessages: this.#mail.entries.length,
      mailBytes: this.#mail.bytes,
      runMessages: this.#runs.entries.length,
      runBytes: this.#runs.bytes,
      keys: this.tails.size,
    };
  }

  /** The keys among some that are of runs. */
  runsOf(keys: readonly string[]): readonly string[] {
    return this.#runs.keysOf(keys);
  }

  /** The state of the newest run of a key; undefined when nothing of it is kept. */
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

  /** Comes to a place in the order, so that cursors can be given before the first message. */
  arrive(position: Position): void {
    this.epochs.arrive(position);
  }

  /** Appends the next message. A part that does not belong to its run, as after its end, has a place but no entry. */
  append(message: Message, position?: Position): Entry | undefined {
    const { keys, body, id, event, nonce, act, run, age = 0 } = message;
    if (position !== undefined) this.arrive(position);
    if (run !== undefined && !belongs(run, this.runOf(keys[0]!), this.epochs)) return undefined;
    const archive = this.#archiveOf(run);
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
      tailCount: keys.length,
      waits: position === undefined ? undefined : archive.waitsOf(keys, run && this.runOf(keys[0]!)?.newest.waits),
      archivedFor: undefined,
      doneAt: 0,
      older: undefined,
      newer: undefined,
    };
    this.#history.push(entry);
    this.#bytes += entry.weight;
    if (entry.waits !== undefined) archive.waiting.add(entry);
    for (const key of keys) {
      const tail = this.tails.for(key);
      tail.push(entry);
      this.#weigh(tail);
      if (run?.is === 'start') tail.run = { start: entry, newest: entry };
      else if (run !== undefined) (tail.run ??= { start: undefined, newest: entry }).newest = entry;
      if (tail.length > this.#limitOf(tail)) this.#longTails.add(tail);
      if (entry.waits?.has(key) === true && ++tail.waiting > archive.bounds.count) archive.full.add(key);
    }
    if (id !== undefined) this.ids.add(id, entry);
    while (this.#bytes > this.#bounds.bytes && this.#history.oldest !== entry) this.#dropOldest('evicted');
    return entry;
  }

  /** Says that every reader that is not behind has all through this offset; lets go of what is over the bounds. */
  settle(through: number): void {
    this.#settled = through;
    for (const tail of this.#longTails) {
      const limit = this.#limitOf(tail);
      while (tail.length > limit && tail.oldest!.offset <= through) this.#trim(tail);
      if (tail.length <= limit) this.#longTails.delete(tail);
    }
    for (const archive of this.#archives) for (const key of archive.full) this.#emptyOver(key, archive, through);
    this.expire();
  }

  /** Lets go of messages older than `age`, of mail that has waited for too long, and of runs whose lifetime is over. */
  expire(): void {
    const now = this.now();
    const horizon = now - this.#bounds.age;
    for (;;) {
      const { oldest } = this.#history;
      if (oldest === undefined || oldest.appendedAt >= horizon || oldest.offset > this.#settled) break;
      this.#dropOldest('expired');
    }
    for (const { done, waiting, bounds } of this.#archives) {
      for (const entry of done) {
        if (entry.doneAt >= horizon) break;
        this.#forget(entry, entry.archivedFor!);
      }
      for (const entry of waiting) {
        if (entry.appendedAt >= now - bounds.age || entry.offset > this.#settled) break;
        for (const key of entry.waits!) this.#lapse(entry, key, 'expired');
      }
    }
  }

  /** Whether an entry stands at this place in the order. */
  isAt(entry: Entry, { epoch, seq }: Position): boolean {
    return this.epochs.get(epoch)?.term === entry.term && entry.seq === seq;
  }

  /** The present epoch after a place, for a process that has not got that far. */
  handover(seq: number): Handover {
    return {
      position: this.place!,
      losses: this.tails.lossesOf(this.epochs.term),
      messages: { [Symbol.iterator]: () => this.#messagesAfter(seq) },
      mail: this.mailboxes.mail,
    };
  }

  /**
   * Accepts the losses of an order that this log enters or missed a part of, or of an epoch that it followed before;
   * the messages that are kept are appended afterwards. Readers that are behind are told.
   */
  lose(epoch: string, { keys, others }: Losses): void {
    if (this.epochs.get(epoch) === undefined) this.arrive({ epoch, seq: 0 });
    const { term, seq: heard } = this.epochs.get(epoch)!;
    const offset = this.#head + 1;
    if (this.tails.loseElsewhere({ keys, others }, { offset, term, heard })) this.#head = this.#lostThrough = offset;
  }

  /** The archive of an entry that leaves the history. */
  #archiveOf(run: RunPart | undefined): Archive {
    return run === undefined ? this.#mail : this.#runs;
  }

  /** The messages of the present epoch after a place in it, oldest first. */
  *#messagesAfter(seq: number): Generator<PlacedMessage> {
    const archived = this.#archives.flatMap(({ entries }) => [...entries]).sort((a, b) => a.offset - b.offset);
    for (const entries of [archived, this.#history]) {
      for (const entry of entries) {
        if (entry.inOrder && entry.term === this.epochs.term && entry.seq > seq)
          yield toMessage(entry, this.now(), (keys) => this.#mail.keysOf(keys));
      }
    }
  }

  /** Waits no longer for a message to be taken from a mailbox, or keeps it no longer for a run. */
  #lapse(entry: Entry, key: string, reason: LossReason): void {
    if (!this.#release(entry, this.tails.get(key)!)) return;
    this.mailboxes.lose(entry, key, reason);
    if (entry.archivedFor !== undefined && entry.waits === undefined) this.#forget(entry, reason);
  }

  #release(entry: Entry, tail: Tail): boolean {
    return this.#archiveOf(entry.run).release(entry, tail, this.now());
  }

  /** Lets go of the oldest messages of a mailbox or a run that has too many. */
  #emptyOver(key: string, { bounds, full }: Archive, through: number): void {
    const tail = this.tails.get(key)!;
    for (let i = 0; tail.waiting > bounds.count;) {
      const entry = tail.at(i);
      if (entry === undefined || entry.offset > through) return;
      this.#lapse(entry, key, 'evicted');
      if (tail.at(i) === entry) i++;
    }
    full.delete(key);
  }

  /** The most entries of a tail. The archive of a mailbox or a run has a bound of its own, which comes on top. */
  #limitOf({ archive }: Tail): number {
    return this.#bounds.count + (archive?.bounds.count ?? 0);
  }

  /** Counts a tail among the bytes of the history as long as the history has something of it. */
  #weigh(tail: Tail): void {
    if (tail.isOfHistory === tail.isWeighed) return;
    tail.isWeighed = !tail.isWeighed;
    const bytes = keyCost(tail.key);
    this.#bytes += tail.isWeighed ? bytes : -bytes;
  }

  /** Lets go of the oldest entry of the history, which is archived if it waits in mailboxes or is of a run. */
  #dropOldest(reason: LossReason): void {
    const entry = this.#history.oldest!;
    if (entry.waits === undefined) this.#forget(entry, reason);
    else this.#archive(entry, reason);
  }

  /** Lets go of the oldest entry of a key, but not of its other keys. */
  #trim(tail: Tail): void {
    const oldest = tail.oldest!;
    if (this.#release(oldest, tail)) this.mailboxes.lose(oldest, tail.key, 'evicted');
    if (oldest.archivedFor !== undefined) tail.archived--;
    this.#lostThrough = Math.max(this.#lostThrough, oldest.offset);
    const entry = tail.stray();
    if (--entry.tailCount === 0) this.#forget(entry, 'evicted');
  }

  /** Archives an entry that leaves the history for the mailboxes in which it waits, or for its run. */
  #archive(entry: Entry, reason: LossReason): void {
    const archive = this.#archiveOf(entry.run);
    this.#history.remove(entry);
    this.#bytes -= entry.weight;
    archive.add(entry, reason);
    this.#lostThrough = Math.max(this.#lostThrough, entry.offset);
    for (const key of entry.keys) {
      const tail = this.tails.get(key);
      if (tail === undefined) continue;
      if (tail.archive === archive) {
        if (!tail.strays.has(entry)) tail.archived++;
      } else {
        if (tail.remove(entry)) entry.tailCount--;
        tail.lose(entry, reason);
      }
      this.#weigh(tail);
      if (tail.isEmpty) this.#rememberEmpty(tail);
    }
    while (archive.bytes > archive.bounds.bytes) this.#forget(archive.entries.oldest!, 'evicted');
  }

  #forget(entry: Entry, reason: LossReason): void {
    const isArchived = entry.archivedFor !== undefined;
    const archive = this.#archiveOf(entry.run);
    if (isArchived) {
      archive.remove(entry);
    } else {
      this.#history.remove(entry);
      this.#bytes -= entry.weight;
    }
    if (entry.id !== undefined) this.ids.delete(entry.id, entry);
    this.#lostThrough = Math.max(this.#lostThrough, entry.offset);
    archive.waiting.delete(entry);
    // Its other keys lost it when it left the history.
    for (const key of isArchived ? archive.keysOf(entry.keys) : entry.keys) {
      const tail = this.tails.get(key);
      if (tail === undefined) continue;
      if (entry.waits?.has(key) === true) {
        tail.waiting--;
        this.mailboxes.lose(entry, key, reason);
      }
      if (tail.remove(entry) && isArchived) tail.archived--;
      tail.lose(entry, reason);
      this.#weigh(tail);
      if (tail.isEmpty) this.#rememberEmpty(tail);
    }
    entry.waits = undefined;
  }

  #rememberEmpty(tail: Tail): void {
    this.#longTails.delete(tail);
    tail.archive?.full.delete(tail.key);
    tail.run = undefined;
    this.tails.setEmpty(tail);
  }
}
