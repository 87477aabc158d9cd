import { performance } from 'node:perf_hooks';
import type { Admission } from '../access/authorizer';
import type { Act, History, Message, Question, Replica, Losses, Mail } from '../order/broker';
import { Compression } from '../connection/compression';
import { Confirmations } from '../pump/confirmations';
import { Connection, type CloseReason } from '../connection/connection';
import type { SseResponse } from '../connection/wire';
import { toCursor, type Position } from '../order/cursor';
import { toError } from '../base/error';
import type { EncodedEvent } from '../message/message';
import { Events } from './events';
import { toFrames, type Gap } from '../log/gaps';
import { historyOf } from '../log/history';
import { type Joined, heldBy, type Joining } from './join';
import { KeySets } from '../connection/key_sets';
import { Log } from '../log/reader';
import type { Reader } from '../log/reader_state';
import type { SseLogger } from '../base/logger';
import { mailboxesOf, isRunKey, ALL, user } from '../message/keys';
import type { SseOptions } from '../options/options';
import { Pools } from '../connection/pools';
import { Pump } from '../pump/pump';
import type { LogBounds } from '../log/log';
import { Seats } from '../access/user_limit';
import type { Takes } from '../log/taken_mail';
import { Throttle, ThrottleRules } from '../log/throttle';
import { Unseated } from './unplaced';
import { toOpening, toRegrant, toWelcome } from './welcome';
import { within } from '../base/promises';

/** What a worker holds. */
export interface SseStats {
  readonly connections: number;
  /** Keys that a connection holds, the plugin's own among them. */
  readonly pools: number;
  /** Bytes that wait in this process for clients to read. */
  readonly unsentBytes: number;
  readonly historyMessages: number;
  readonly historyBytes: number;
  /** Messages that are kept for mailboxes only, after the history has let go of them. */
  readonly mailMessages: number;
  readonly mailBytes: number;
  /** Messages that are kept for runs only. */
  readonly runMessages: number;
  readonly runBytes: number;
}

/** Who is to know of the runs that are read and end here. */
export interface RunListener {
  /** Which of some runs this process produces. */
  producedOf(keys: readonly string[]): string[];
  /** A run is over. */
  onEnd(key: string): void;
  /** It is time to see whether the runs that are read here are alive; `soon`: someone has just come. */
  onWatch(soon: boolean): void;
}

const NO_KEYS: readonly string[] = [];

const NO_HISTORY: LogBounds = { age: 0, count: 0, bytes: 16 * 1024 * 1024 };

// Node buffers this much before it says that a client is behind, whatever was asked.
const NODE_BUFFER_BYTES = 16 * 1024;

// What a stream that ends now should take, at most, of Egg's 5 s before a worker is killed.
const DRAIN_MS = 3_000;

// A worker that comes back should not have to open more streams a second than this.
const RETURNS_PER_MS = 1;

/** Every open stream of this process: its pools by key, the log they read and the pump that writes to them. */
export class Hub implements Replica {
  readonly #options: SseOptions;
  readonly log: Log;
  /** How many streams each user may have. */
  readonly seats: Seats;
  readonly #pump: Pump;
  readonly events: Events;
  readonly #connections = new Map<Connection, number>();
  readonly #pools = new Pools(isRunKey);
  readonly #keySets: KeySets;
  readonly #compression: Compression | undefined;
  readonly #unseated: Unseated;
  readonly #confirmations: Confirmations;
  #inSight = false;
  #onReauthorize: (connections: ReadonlySet<Connection>) => void = () => undefined;
  #takes: Pick<Takes, 'take' | 'tell'> | undefined;
  #runListener: RunListener | undefined;
  #sweeper: NodeJS.Timeout | undefined;
  #draining = false;

  constructor(options: SseOptions, logger: SseLogger) {
    this.#options = options;
    this.events = new Events(logger);
    const { mailbox } = options;
    this.log = new Log(
      options.history === false ? NO_HISTORY : options.history,
      undefined,
      mailbox === false
        ? undefined
        : {
            mailbox,
            onTake: (key, cursor) => this.#takes?.take(key, cursor),
            onTell: (key, cursor) => this.#takes?.tell(key, cursor),
          },
      options.runs === false ? undefined : options.runs,
    );
    if (options.compression !== false) this.#compression = new Compression(options.compression);
    this.#keySets = new KeySets(new ThrottleRules(options.throttle), this.#compression);
    this.#unseated = new Unseated(this.log, (connection, lastEventId) => this.#seat(connection, lastEventId));
    this.seats = new Seats(options.maxClientsPerUser, (id) => this.count(user(id)));
    this.#pump = new Pump(this.log, {
      maxBatchBytes: Math.max(1, options.maxUnsentBytes - NODE_BUFFER_BYTES),
      onGap: (gap) => this.events.emit('gap', gap),
      onSettled: (through) => this.#confirmations.settle(through),
      onError: (error) => logger.error(toError(error)),
    });
    this.#confirmations = new Confirmations(
      (keys) => this.#pools.ofAny(keys),
      (connection) => this.#connections.has(connection),
    );
  }

  /** Whether this worker is going and takes no more streams. */
  get draining(): boolean {
    return this.#draining;
  }

  get full(): boolean {
    return this.#connections.size >= this.#options.maxClients;
  }

  /** Takes who asks the authorizer again about connections. */
  onReauthorize(listener: (connections: ReadonlySet<Connection>) => void): void {
    this.#onReauthorize = listener;
  }

  /** Takes who tells the others what was taken from mailboxes here. */
  onTake(takes: Pick<Takes, 'take' | 'tell'>): void {
    this.#takes = takes;
  }

  /** Takes who produces runs. */
  onRuns(listener: RunListener): void {
    this.#runListener = listener;
  }

  /** The runs that someone reads here and that have not ended, though nothing has come of them for so many ms. */
  silentRuns(ms: number): string[] {
    const now = performance.now();
    return [...this.#pools.watched].filter((key) => {
      const newest = this.log.runOf(key)?.newest;
      return newest !== undefined && newest.run!.is !== 'end' && now - newest.appendedAt >= ms;
    });
  }

  /** Takes who knows when this process has all that was ordered before. */
  onCatchUp(catchUp: () => Promise<boolean>): void {
    this.#unseated.onCatchUp(catchUp);
  }

  /** Gives an open stream what it is granted now: from now on, without a break. It is told. */
  regrant(connection: Connection, admission: Admission): void {
    if (!this.#connections.has(connection)) return;
    const { isPrivate, keySet: before } = connection;
    const { user, groups } = admission;
    const { showsKeys } = connection.reader;
    const keys = isPrivate ? connection.reader.keys : admission.keys;
    if (!keys.every((key) => admission.keys.includes(key))) {
      connection.close('refused', { text: 'this run is not for this client any more' });
      return;
    }
    const set = this.#keySets.hold(heldBy({ ...admission, keys }), showsKeys);
    const { keys: held, throttled } = set;
    for (const key of before.keys) if (!held.includes(key)) this.#pools.exit(key, connection);
    for (const key of held) this.#pools.enter(key, connection);
    connection.keySet = set;
    this.#keySets.release(before);
    connection.grant({ ...admission, keys });
    if (isPrivate) return;
    this.log.rekey(connection.reader, held, throttled);
    if (connection.compressed) connection.compress(this.#keySets.deflateOf(set));
    connection.write(toRegrant({ keys, user, groups }), performance.now());
    // There may be mail.
    this.#pump.wake(connection);
  }

  /** Starts the one timer that pings, ends what is too old and lets history expire. It keeps no process alive. */
  start(): void {
    const { pingInterval, maxAge } = this.#options;
    const finest = Math.min(pingInterval || maxAge, maxAge) / 10;
    this.#sweeper ??= setInterval(() => this.#sweep(), Math.min(1_000, Math.max(20, finest)));
    this.#sweeper.unref();
  }

  /**
   * Takes a response whose head is out as an open stream. Its place in the order is that of now, or where its client was;
   * it has nothing of the log until it is greeted.
   *
   * The caller has checked `full` and `draining` in this same turn.
   */
  open(response: SseResponse, joining: Joining): Joined {
    const { isPrivate = false, isBehind = false, showsKeys = false, compressed = false } = joining;
    const { expiresAt = Number.POSITIVE_INFINITY, asked = joining.keys, lastEventId, user, data, feed } = joining;
    const { run, newKeys = [] } = joining;
    const keysOfPrivate = run === undefined ? NO_KEYS : [run];
    const keys = isPrivate ? keysOfPrivate : joining.keys;
    const now = performance.now();
    const set = this.#keySets.hold(heldBy({ ...joining, keys }), showsKeys);
    const { keys: held, throttled } = set;
    const throttle = throttled === undefined || isPrivate ? undefined : new Throttle(throttled);
    const theirs = isPrivate ? keys : held;
    const known = newKeys.length === 0 ? theirs : theirs.filter((key) => !newKeys.includes(key));
    const { reader, gaps } = this.#readerOf(known, { lastEventId, isBehind, throttle });
    if (known !== theirs) this.log.rekey(reader, theirs, throttle === undefined ? undefined : throttled);
    reader.showsKeys = showsKeys;
    reader.isOfRun = run !== undefined;
    const { maxAge, stallTimeout } = this.#options;
    const connection = new Connection(response, this.#owner, {
      asked,
      keySet: set,
      reader,
      now,
      endsAt: now + maxAge * (0.8 + 0.2 * Math.random()),
      stallTimeout,
      isPrivate,
      feed,
    });
    connection.isHeld = true;
    if (compressed) connection.compress(this.#keySets.deflateOf(set));
    connection.grant({ keys, user, data, expiresAt });
    this.#connections.set(connection, now);
    for (const key of held) this.#pools.enter(key, connection);
    if (!reader.seated) this.#unseated.add(connection, lastEventId, now);
    this.events.emit('open', { keys, user, data, resumed: lastEventId !== undefined });
    if (held.some(isRunKey)) this.#runListener?.onWatch(true);
    return {
      connection,
      resumed: lastEventId !== undefined && reader.seated && gaps.length === 0,
      greet: (first) => this.#greet(connection, joining, gaps, first),
    };
  }

  #greet(connection: Connection, joining: Joining, gaps: readonly Gap[], first: EncodedEvent | undefined): void {
    const { reader, isPrivate, keys, user } = connection;
    const { groups, lastEventId, retry = this.#options.retry } = joining;
    const { pingInterval } = this.#options;
    const cursor = reader.seated ? this.log.cursorAt(reader) : undefined;
    const frames = isPrivate
      ? toOpening(joining.retry, gaps, first)
      : toWelcome(
          { keys, user, groups },
          { cursor, isSeated: reader.seated, lastEventId },
          { gaps, first, retry, pingInterval },
        );
    connection.isHeld = false;
    if (frames.length > 0) connection.write(Buffer.concat(frames), performance.now());
    for (const gap of gaps) this.events.emit('gap', gap);
    if (reader.position !== this.log.head || reader.throttle?.isHolding === true) this.#pump.wake(connection);
  }

  #readerOf(
    held: readonly string[],
    from: { lastEventId: string | undefined; isBehind: boolean; throttle: Throttle | undefined },
  ): { reader: Reader; gaps: readonly Gap[] } {
    const { log } = this;
    const { lastEventId, isBehind, throttle } = from;
    if (held.length === 0) return { reader: log.readFromHead(held), gaps: [] };
    const isKnown = lastEventId === undefined ? log.place !== undefined : log.knows(lastEventId, held);
    if (!isKnown && (isBehind || !this.#inSight)) return { reader: log.readUnseated(held, throttle), gaps: [] };
    if (lastEventId === undefined) return log.open(held, throttle);
    return log.resume(lastEventId, held, throttle);
  }

  get position(): Position | undefined {
    return this.log.place;
  }

  follow(inSight: boolean): void {
    this.#inSight = inSight;
    if (inSight) this.#unseated.onSight();
  }

  /** Gives a stream that had none its place in the order. */
  #seat(connection: Connection, lastEventId: string | undefined): void {
    const gaps = this.log.seat(connection.reader, lastEventId);
    const frames = toFrames(gaps, this.log.cursorAt(connection.reader));
    if (frames.length > 0) connection.write(Buffer.concat(frames), performance.now());
    for (const gap of gaps) this.events.emit('gap', gap);
    this.#pump.wake(connection);
  }

  join(epoch: string, losses: Losses): void {
    this.log.lose(epoch, losses);
    // Those who missed something are told.
    const all = this.#pools.of(ALL);
    if (all !== undefined) this.#pump.wakeAll(all);
  }

  sort(mail: Mail): void {
    this.log.sort(mail);
  }

  arrive(position: Position): void {
    this.log.begin(position);
  }

  history(seq: number): History {
    return historyOf(this.log, seq, this.#options.mailbox);
  }

  async answer(question: Question): Promise<unknown> {
    if ('took' in question) return this.#confirmations.count(question.took);
    if ('seats' in question) return this.seats.answer(question.seats, question.ticket);
    if ('runs' in question) return this.#runListener?.producedOf(question.runs) ?? [];
    return this.count(question.count);
  }

  /** Whether a client's last event id says where it was. */
  knows(lastEventId: string, joining: Joining): boolean {
    return this.log.knows(lastEventId, heldBy(joining));
  }

  /** Whether what a client that takes gzip is sent is to be compressed. */
  compresses(joining: Joining): boolean {
    return this.#compression?.suits(heldBy(joining)) === true;
  }

  /** Whether a client holds a mailbox. */
  hasMailbox(joining: Joining): boolean {
    const { mailbox } = this.#options;
    return mailbox !== false && mailboxesOf(mailbox, heldBy(joining)).length > 0;
  }

  /** Appends a message to the log, for the pump to write. Never throws. */
  deliver({ keys, body, id, event, nonce, act, confirm, run, age }: Message, position: Position | undefined): void {
    if (act?.do === 'take') {
      // Whoever has missed it is told what waits.
      if (position !== undefined) this.log.begin(position);
      for (const { key, cursors } of act.taken) for (const cursor of cursors) this.log.take(key, cursor);
      for (const { key, cursor } of act.told) this.log.tell(key, cursor);
      return;
    }
    if (act !== undefined) {
      // It has a place, but nobody reads it.
      this.log.append({ keys: [], body, nonce, act, position });
      this.#pump.mark();
      this.#perform(act);
      return;
    }
    const entry = this.log.append({ keys, body, id, event, nonce, run, position, age });
    if (entry === undefined) return;
    if (run?.is === 'end') this.#runListener?.onEnd(keys[0]!);
    if (confirm !== undefined) this.#confirmations.arrive(confirm, entry);
    for (const key of keys) {
      const pool = this.#pools.of(key);
      if (pool !== undefined) this.#pump.wakeAll(pool);
    }
    this.#pump.mark();
    if (run?.is !== 'start' && this.events.has('deliver'))
      this.events.emit('deliver', { keys, event, id: id ?? (position && toCursor(position)), bytes: entry.bytes });
  }

  /** Does what all processes are to do. */
  #perform(act: Exclude<Act, { do: 'take' }>): void {
    const connections = this.#pools.ofAny(act.keys);
    if (act.do === 'disconnect')
      for (const connection of connections) connection.close('disconnected', { text: act.reason });
    else this.#onReauthorize(connections);
  }

  /** Streams that hold a key; all of them without one. */
  count(key: string = ALL): number {
    return this.#pools.of(key)?.size ?? 0;
  }

  /** What this worker holds, now. */
  get stats(): SseStats {
    let unsentBytes = 0;
    for (const connection of this.#connections.keys()) unsentBytes += connection.unsentBytes;
    const { messages, bytes, heldMessages, heldBytes, runMessages, runBytes } = this.log.size;
    return {
      connections: this.#connections.size,
      pools: this.#pools.size,
      unsentBytes,
      historyMessages: messages,
      historyBytes: bytes,
      mailMessages: heldMessages,
      mailBytes: heldBytes,
      runMessages,
      runBytes,
    };
  }

  /** Ends the streams that hold a key; all of them without one. Returns how many. */
  close(key: string = ALL): number {
    const streams = [...(this.#pools.of(key) ?? [])];
    for (const connection of streams) connection.close('closed');
    return streams.length;
  }

  /**
   * Takes no more streams and ends those that are open, each told when to come back, spread so that the next worker is
   * not overrun. Resolves when all are gone, 3 s later at the latest.
   */
  async drain(): Promise<void> {
    this.#draining = true;
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
    const streams = [...this.#connections.keys()];
    const { retry } = this.#options;
    const spread = Math.max(retry, streams.length / RETURNS_PER_MS);
    const gone = streams.map((connection) => connection.whenClosed());
    for (const connection of streams)
      connection.close('shutdown', { retry: Math.round(retry + spread * Math.random()) });
    await within<unknown>(DRAIN_MS, Promise.all(gone), () => undefined);
    for (const connection of streams) connection.destroy('shutdown');
  }

  readonly #owner = {
    onDrain: (connection: Connection) => this.#pump.wake(connection),
    onEnd: (connection: Connection, reason: CloseReason) => this.#leave(connection, reason),
  };

  #leave(connection: Connection, reason: CloseReason): void {
    const openedAt = this.#connections.get(connection);
    if (openedAt === undefined) return;
    this.#connections.delete(connection);
    this.#unseated.delete(connection);
    this.#pump.forget(connection);
    for (const key of connection.keySet.keys) this.#pools.exit(key, connection);
    this.#keySets.release(connection.keySet);
    const { keys, user, data } = connection;
    this.events.emit('close', { keys, user, data, reason, openMs: performance.now() - openedAt });
  }

  #sweep(): void {
    const now = performance.now();
    const { pingInterval } = this.#options;
    for (const connection of this.#connections.keys()) {
      if (now >= connection.expiresAt) {
        connection.close('expired');
      } else if (now >= connection.endsAt) {
        connection.close('age');
      } else if (pingInterval > 0 && now - connection.lastWriteAt >= pingInterval && connection.writable) {
        connection.pingDue = true;
        this.#pump.wake(connection);
      }
    }
    this.log.expire();
    if (!this.#inSight) return;
    this.#runListener?.onWatch(false);
    this.#unseated.sweep(now);
  }
}
