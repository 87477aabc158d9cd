import { EventEmitter } from 'node:events';
import { performance } from 'node:perf_hooks';
import type { Admission } from './authorizer';
import type { Act, History, Message, Question, Replica } from './broker';
import { Confirmations } from './confirmations';
import { Connection, type CloseReason, type SseResponse } from './connection';
import { toCursor, type Position } from './cursor';
import { bodyOf, encodeOwn, isFieldSafe, toFrame } from './event';
import { toFrames } from './gap';
import { Log, type Entry, type Gap, type LogBounds, type Losses, type Mail, type Reader } from './log';
import { mailboxesOf } from './mailbox';
import type { SseOptions } from './options';
import { Pump } from './pump';
import { Seats } from './seats';
import type { Takes } from './takes';
import { ALL, user } from './target';
import { Throttle, ThrottleRules, type ThrottledKeys } from './throttle';
import { within } from './within';

/** What happens in a worker. */
export interface SseEvents {
  /** A stream is open. */
  open: [{ keys: readonly string[]; user: string | undefined; data: unknown; resumed: boolean }];
  /** A stream is over. */
  close: [{ keys: readonly string[]; user: string | undefined; data: unknown; reason: CloseReason; openMs: number }];
  /** A message arrived and is on its way to this worker's connections. */
  deliver: [{ keys: readonly string[]; event: string | undefined; id: string | undefined; bytes: number }];
  /** A client was told that something is lost. */
  gap: [Gap];
  /** A request for a stream was refused. */
  refuse: [{ status: number; code: string }];
}

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
}

/** Where the plugin says what an operator should know. */
export interface SseLogger {
  info(message: string): void;
  warn(message: string): void;
  error(message: string | Error): void;
}

/** Who wants to join, and from where. */
export interface Joining extends Partial<Omit<Admission, 'keys'>> {
  readonly keys: readonly string[];
  /** The keys that were asked for, when others were granted. */
  readonly asked?: readonly string[];
  readonly lastEventId?: string | undefined;
  /** Whether each message is to say for which keys it is. Left out: no. */
  readonly showsKeys?: boolean;
  /** Keys of which it gets what comes from now on, wherever it was. */
  readonly newKeys?: readonly string[];
}

interface KeySet {
  readonly keys: readonly string[];
  readonly throttled: ThrottledKeys | undefined;
  holders: number;
}

const NO_FRAME = Buffer.alloc(0);

const NO_HISTORY: LogBounds = { age: 0, count: 0, bytes: 16 * 1024 * 1024 };

// Node buffers this much before it says that a client is behind, whatever was asked.
const NODE_BUFFER_BYTES = 16 * 1024;

// How long a client that has heard more than this process waits for it to come there.
const BEHIND_MS = 10_000;

// What a stream that ends now should take, at most, of Egg's 5 s before a worker is killed.
const DRAIN_MS = 3_000;

// A worker that comes back should not have to open more streams a second than this.
const RETURNS_PER_MS = 1;

/** Every open stream of this process: its pools by key, the log they read and the pump that writes to them. */
export class Hub implements Replica {
  readonly #options: SseOptions;
  readonly #logger: SseLogger;
  readonly log: Log;
  /** How many streams each user may have. */
  readonly seats: Seats;
  readonly #pump: Pump;
  readonly #events = new EventEmitter();
  readonly #connections = new Map<Connection, number>();
  readonly #pools = new Map<string, Set<Connection>>();
  /** Equal sets of keys are one array, so that their readers can share what they read. */
  readonly #keySets = new Map<string, KeySet>();
  readonly #throttles: ThrottleRules;
  /** Streams that were opened while the order was out of sight, with the id their client came with, and when. */
  readonly #unseated = new Map<Connection, { readonly lastEventId: string | undefined; readonly since: number }>();
  readonly #confirmations: Confirmations;
  #inSight = false;
  #onReauthorize: (connections: ReadonlySet<Connection>) => void = () => undefined;
  #takes: Pick<Takes, 'take' | 'tell'> | undefined;
  #sweeper: NodeJS.Timeout | undefined;
  #draining = false;

  constructor(options: SseOptions, logger: SseLogger) {
    this.#options = options;
    this.#logger = logger;
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
    );
    this.#throttles = new ThrottleRules(options.throttle);
    this.seats = new Seats(options.maxClientsPerUser, (id) => this.count(user(id)));
    this.#pump = new Pump(this.log, {
      maxBatchBytes: Math.max(1, options.maxUnsentBytes - NODE_BUFFER_BYTES),
      onGap: (gap) => this.emit('gap', gap),
      onSettled: (through) => this.#confirmations.settle(through),
      onError: (error) => this.#logger.error(toError(error)),
    });
    this.#confirmations = new Confirmations(
      (keys) => this.#audienceOf(keys),
      (connection) => this.#connections.has(connection),
    );
    // Listeners are the app's: as many as it likes.
    this.#events.setMaxListeners(0);
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

  /** Gives an open stream what it is granted now: from now on, without a break. It is told. */
  regrant(connection: Connection, admission: Admission): void {
    if (!this.#connections.has(connection)) return;
    const { keys, user, groups } = admission;
    const before = connection.reader.keys;
    const { keys: held, throttled } = this.#holdKeys(heldBy(admission), connection.reader.showsKeys);
    for (const key of before) if (!held.includes(key)) this.#exit(key, connection);
    for (const key of held) this.#enter(key, connection);
    this.log.rekey(connection.reader, held, throttled);
    this.#releaseKeys(before, connection.reader.showsKeys);
    connection.grant(admission);
    connection.write(encodeOwn('grant', toGrant(keys, user, groups), {}), performance.now());
    // There may be mail.
    this.#pump.wake(connection);
  }

  on<E extends keyof SseEvents>(event: E, listener: (...args: SseEvents[E]) => void): void {
    this.#events.on(event, listener as (...args: unknown[]) => void);
  }

  off<E extends keyof SseEvents>(event: E, listener: (...args: SseEvents[E]) => void): void {
    this.#events.off(event, listener as (...args: unknown[]) => void);
  }

  /** Tells the app's listeners; one that throws is logged and disturbs nobody. */
  emit<E extends keyof SseEvents>(event: E, ...args: SseEvents[E]): void {
    for (const listener of this.#events.listeners(event)) {
      try {
        listener(...args);
      } catch (error) {
        this.#logger.error(toError(error));
      }
    }
  }

  /** Starts the one timer that pings, ends what is too old and lets history expire. It keeps no process alive. */
  start(): void {
    const { pingInterval, maxAge } = this.#options;
    const finest = Math.min(pingInterval || maxAge, maxAge) / 10;
    this.#sweeper ??= setInterval(() => this.#sweep(), Math.min(1_000, Math.max(20, finest)));
    this.#sweeper.unref();
  }

  /**
   * Takes a response whose head is out as an open stream: hello, what it missed, then live.
   *
   * The caller has checked `full` and `draining` in this same turn. `isBehind`: its client may have heard more than this
   * process has.
   */
  open(response: SseResponse, joining: Joining, isBehind = false): Connection {
    const { keys, asked = keys, lastEventId, user, groups = [], data, showsKeys = false } = joining;
    const { newKeys = [], expiresAt = Number.POSITIVE_INFINITY } = joining;
    const now = performance.now();
    const { keys: held, throttled } = this.#holdKeys(heldBy(joining), showsKeys);
    const throttle = throttled === undefined ? undefined : new Throttle(throttled);
    const known = newKeys.length === 0 ? held : held.filter((key) => !newKeys.includes(key));
    const { reader, gaps } = this.#readerOf(known, { lastEventId, isBehind, throttle });
    if (known !== held) this.log.rekey(reader, held, throttled);
    reader.showsKeys = showsKeys;
    const { retry, maxAge, stallTimeout, pingInterval } = this.#options;
    const connection = new Connection(response, this.#owner, {
      asked,
      reader,
      now,
      endsAt: now + maxAge * (0.8 + 0.2 * Math.random()),
      stallTimeout,
    });
    connection.grant({ keys, user, data, expiresAt });
    this.#connections.set(connection, now);
    for (const key of held) this.#enter(key, connection);
    if (!reader.seated) this.#unseated.set(connection, { lastEventId, since: now });
    const cursor = reader.seated ? this.log.cursorAt(reader) : undefined;
    // A client that drops before it has a place, or between hello and gap, must be where it was: it keeps its id.
    const unsettled = lastEventId !== undefined && (gaps.length > 0 || !reader.seated) && isFieldSafe(lastEventId);
    const hello = { ...toGrant(keys, user, groups), cursor, pingInterval };
    const frames = [
      encodeOwn('hello', hello, { retry, id: unsettled ? lastEventId : cursor }),
      ...toFrames(gaps, cursor),
    ];
    connection.write(Buffer.concat(frames), now);
    for (const gap of gaps) this.emit('gap', gap);
    if (reader.position !== this.log.head || throttle?.isHolding === true) this.#pump.wake(connection);
    this.emit('open', { keys, user, data, resumed: lastEventId !== undefined });
    return connection;
  }

  #readerOf(
    held: readonly string[],
    from: { lastEventId: string | undefined; isBehind: boolean; throttle: Throttle | undefined },
  ): { reader: Reader; gaps: readonly Gap[] } {
    const { log } = this;
    const { lastEventId, isBehind, throttle } = from;
    const isKnown = lastEventId === undefined ? log.place !== undefined : log.knows(lastEventId, held);
    if (!isKnown && (isBehind || !this.#inSight)) return { reader: log.readUnseated(held, throttle), gaps: [] };
    if (lastEventId === undefined) return log.open(held, throttle);
    return log.resume(lastEventId, held, throttle);
  }

  get position(): Position | undefined {
    return this.log.place;
  }

  /** Gives a stream that had none its place in the order. */
  #seat(connection: Connection): void {
    const { lastEventId } = this.#unseated.get(connection)!;
    this.#unseated.delete(connection);
    const gaps = this.log.seat(connection.reader, lastEventId);
    const frames = toFrames(gaps, this.log.cursorAt(connection.reader));
    if (frames.length > 0) connection.write(Buffer.concat(frames), performance.now());
    for (const gap of gaps) this.emit('gap', gap);
    this.#pump.wake(connection);
  }

  follow(inSight: boolean): void {
    this.#inSight = inSight;
    if (!inSight) return;
    for (const connection of this.#unseated.keys()) this.#seat(connection);
  }

  join(epoch: string, losses: Losses): void {
    this.log.lose(epoch, losses);
    // Those who missed something are told.
    const all = this.#pools.get(ALL);
    if (all !== undefined) this.#pump.wakeAll(all);
  }

  sort(mail: Mail): void {
    this.log.sort(mail);
  }

  arrive(position: Position): void {
    this.log.begin(position);
  }

  history(seq: number): History {
    const { log } = this;
    const { mailbox } = this.#options;
    return {
      position: log.place!,
      losses: log.losses,
      messages: {
        *[Symbol.iterator]() {
          for (const entry of log.since(seq)) yield toMessage(entry, log.place!.epoch, mailbox);
        },
      },
      mail: log.mail,
    };
  }

  async answer(question: Question): Promise<unknown> {
    if ('took' in question) return this.#confirmations.count(question.took);
    if ('seats' in question) return this.seats.answer(question.seats, question.ticket);
    return this.count(question.count);
  }

  /** Whether a client's last event id says where it was. */
  knows(lastEventId: string, joining: Joining): boolean {
    return this.log.knows(lastEventId, heldBy(joining));
  }

  /** Whether a client holds a mailbox. */
  hasMailbox(joining: Joining): boolean {
    const { mailbox } = this.#options;
    return mailbox !== false && mailboxesOf(mailbox, heldBy(joining)).length > 0;
  }

  /** Appends a message to the log, for the pump to write. Never throws. */
  deliver(message: Message): void {
    const { keys, id, event, nonce, act, confirm, position, age } = message;
    if (act?.do === 'take') {
      // Whoever has missed it is told what waits.
      if (position !== undefined) this.log.begin(position);
      for (const { key, cursors } of act.taken) for (const cursor of cursors) this.log.take(key, cursor);
      for (const { key, cursor } of act.told) this.log.tell(key, cursor);
      return;
    }
    if (act !== undefined) {
      // It has a place, but nobody reads it.
      this.log.append({ keys: [], frame: NO_FRAME, nonce, act, position });
      this.#pump.mark();
      this.#perform(act);
      return;
    }
    const frame = toFrame(message.body, id ?? cursorOf(message));
    this.log.append({ keys, frame, id, event, nonce, position, age });
    if (confirm !== undefined) this.#confirmations.arrive(confirm, { offset: this.log.head, keys });
    for (const key of keys) {
      const pool = this.#pools.get(key);
      if (pool !== undefined) this.#pump.wakeAll(pool);
    }
    this.#pump.mark();
    this.emit('deliver', { keys, event, id: id ?? cursorOf(message), bytes: frame.length });
  }

  #audienceOf(keys: readonly string[]): ReadonlySet<Connection> {
    return new Set(keys.flatMap((key) => [...(this.#pools.get(key) ?? [])]));
  }

  /** Does what all processes are to do. */
  #perform(act: Exclude<Act, { do: 'take' }>): void {
    const connections = this.#audienceOf(act.keys);
    if (act.do === 'disconnect')
      for (const connection of connections) connection.close('disconnected', { text: act.reason });
    else this.#onReauthorize(connections);
  }

  /** Streams that hold a key; all of them without one. */
  count(key: string = ALL): number {
    return this.#pools.get(key)?.size ?? 0;
  }

  /** What this worker holds, now. */
  get stats(): SseStats {
    let unsentBytes = 0;
    for (const connection of this.#connections.keys()) unsentBytes += connection.unsentBytes;
    const { messages, bytes, heldMessages, heldBytes } = this.log.size;
    return {
      connections: this.#connections.size,
      pools: this.#pools.size,
      unsentBytes,
      historyMessages: messages,
      historyBytes: bytes,
      mailMessages: heldMessages,
      mailBytes: heldBytes,
    };
  }

  /** Ends the streams that hold a key; all of them without one. Returns how many. */
  close(key: string = ALL): number {
    const streams = [...(this.#pools.get(key) ?? [])];
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
    for (const key of connection.reader.keys) this.#exit(key, connection);
    this.#releaseKeys(connection.reader.keys, connection.reader.showsKeys);
    const { keys, user, data } = connection;
    this.emit('close', { keys, user, data, reason, openMs: performance.now() - openedAt });
  }

  #enter(key: string, connection: Connection): void {
    const pool = this.#pools.get(key);
    if (pool === undefined) this.#pools.set(key, new Set([connection]));
    else pool.add(connection);
  }

  #exit(key: string, connection: Connection): void {
    const pool = this.#pools.get(key);
    if (pool === undefined) return;
    pool.delete(connection);
    if (pool.size === 0) this.#pools.delete(key);
  }

  #holdKeys(keys: readonly string[], showsKeys: boolean): KeySet {
    const signature = signatureOf(keys, showsKeys);
    let set = this.#keySets.get(signature);
    if (set === undefined) {
      set = { keys, throttled: this.#throttles.of(keys), holders: 0 };
      this.#keySets.set(signature, set);
    }
    set.holders++;
    return set;
  }

  #releaseKeys(keys: readonly string[], showsKeys: boolean): void {
    const signature = signatureOf(keys, showsKeys);
    const set = this.#keySets.get(signature);
    if (set !== undefined && --set.holders === 0) this.#keySets.delete(signature);
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
    for (const [connection, { lastEventId, since }] of this.#unseated) {
      const isThere = lastEventId !== undefined && this.log.knows(lastEventId, connection.reader.keys);
      if (isThere || now - since > BEHIND_MS) this.#seat(connection);
    }
  }
}

/** What a client is told of its grant. */
function toGrant(keys: readonly string[], user: string | undefined, groups: readonly string[]): object {
  return { keys, user, groups: groups.length > 0 ? groups : undefined };
}

function heldBy({ keys, ownKeys = [] }: Joining): string[] {
  return [ALL, ...ownKeys, ...keys];
}

function signatureOf(keys: readonly string[], showsKeys: boolean): string {
  if (showsKeys) return JSON.stringify({ keys: [...keys].sort() });
  return keys.length === 1 ? keys[0]! : JSON.stringify([...keys].sort());
}

function toMessage(entry: Entry, epoch: string, mailbox: SseOptions['mailbox']): Message {
  const { keys, frame, id, event, nonce, act, seq, appendedAt } = entry;
  const position = { epoch, seq };
  if (act !== undefined) return { keys, body: '', nonce, act, position };
  const message = { keys, body: bodyOf(frame, id ?? toCursor(position)), id, event, nonce, position };
  if (mailbox === false || (entry.waits ?? entry.heldFor) === undefined) return message;
  const age = Math.round(performance.now() - appendedAt);
  // Its other keys have lost it.
  return { ...message, keys: entry.heldFor === undefined ? keys : mailboxesOf(mailbox, keys), age };
}

function cursorOf({ position }: Message): string | undefined {
  return position === undefined ? undefined : toCursor(position);
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
