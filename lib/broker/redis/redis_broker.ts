import { AsyncResource } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import {
  type Act,
  type Broker,
  type Poll,
  type Question,
  type Replica,
  NO_LOSSES,
  type Losses,
  type RunPart,
  type LossReason,
} from '../../order/broker';
import type { Position } from '../../order/cursor';
import type { SseLogger } from '../../base/logger';
import { mailboxesOf } from '../../message/keys';
import type { SseMailbox, SseOptions } from '../../options/options';
import { Outbox, type Numbered } from '../outbox';
import type { Reach } from '../../message/reach';
import { connectRedis, whenEnded, type RedisClient, type RedisSettings } from '../../redis/client';
import { type EggProcess, redisOf } from '../../redis/settings';
import { supervise, type Supervision } from '../../redis/supervise';
import { within } from '../../base/promises';
import { Polls } from '../polls';
import { fromCursor, isBefore, isSame, toId, toPlace, toPosition, type Place } from './place';
import {
  Store,
  type Epoch,
  type FencedDraft,
  type StoreDraft,
  type KeyPlace,
  type StoreBounds,
  type StoreTakes,
  type StreamEntry,
  type Survey,
} from './store';
import { Witness, type Testimony } from './witness';

/** How long things may take, in ms. */
export interface RedisTimes {
  /** An app that starts waits this long for Redis, then starts without. */
  readonly start: number;
  /** A publish that nobody orders fails after this. */
  readonly publish: number;
  /** Whoever asks all workers, or wants to catch up, waits this long. */
  readonly answer: number;
  /** A worker that stops waits this long for what is in flight. */
  readonly stop: number;
  /** A worker says so often that it lives. */
  readonly beat: number;
  /** What Redis refuses for now, as for want of memory, is tried again after this. */
  readonly refused: number;
}

const TIMES: RedisTimes = { start: 5_000, publish: 15_000, answer: 1_500, stop: 1_000, beat: 2_000, refused: 500 };

const TICK_MS = 250;
const BLOCK_MS = 2_000;
const READ_COUNT = 500;
const BATCH_COUNT = 200;
const BATCH_LENGTH = 512 * 1024;

const MAX_MESSAGES = 100_000;
// Without a history workers still need some time to read what they are to write.
const READING_MS = 60_000;

// Of how many publishers a process remembers what it has heard of them.
const MAX_PUBLISHERS = 4_096;

// Redis serves, but takes nothing for now: it is full, cannot write to its disk, or lacks replicas.
const REFUSALS = /^(OOM|MISCONF|NOREPLICAS|BUSY|LOADING)\b/;

/**
 * A process's end of the order that Redis gives to all hosts.
 *
 * It reads the order as a stream, with a connection of its own, from the last place it has: what it misses while the
 * connection is broken, it reads later. A publish resolves when this process has read its own message back; what was
 * sent and not read is sent again after a break, and Redis orders it once.
 */
export class RedisBroker implements Broker {
  readonly #settings: RedisSettings;
  readonly #app: string;
  readonly #host: string;
  readonly #bounds: StoreBounds;
  readonly #mailbox: SseMailbox | false;
  readonly #logger: SseLogger;
  readonly #times: RedisTimes;
  readonly #serves: boolean;
  /** No other process has this name. */
  readonly #worker: string;
  readonly #outbox: Outbox<StoreDraft>;
  /** What has not been sent on this connection. */
  #unsent: Numbered<StoreDraft>[] = [];
  #flushing = false;
  readonly #context = new AsyncResource('egg-sse.redis');
  #refused = false;
  #replica: Replica | undefined;
  #supervision: Supervision | undefined;
  #ticker: NodeJS.Timeout | undefined;
  /** While it is connected and has the backlog. */
  #store: Store | undefined;
  #fail: (error: Error) => void = () => undefined;
  #place: Place | undefined;
  readonly #witness = new Witness();
  /** By publisher, the number of its newest message here. */
  readonly #numbers = new Map<string, number>();
  #arrivals: (() => void)[] = [];
  readonly #polls: Polls;

  /**
   * `host` names this host among those that share the Redis; `serves` says whether this process has connections: one
   * that has none is not asked, and reads no history.
   */
  constructor(
    settings: RedisSettings,
    options: {
      app: string;
      host: string;
      serves: boolean;
      bounds: Pick<StoreBounds, 'count' | 'age'>;
      mailbox?: SseMailbox | false;
      /** ms that runs are kept. Left out: there are none. */
      runAge?: number;
      logger: SseLogger;
      times?: Partial<RedisTimes>;
    },
  ) {
    this.#settings = settings;
    this.#app = options.app;
    this.#host = options.host;
    this.#serves = options.serves;
    this.#mailbox = options.mailbox ?? false;
    const mailAge = this.#mailbox === false ? 0 : this.#mailbox.age;
    this.#bounds = { ...options.bounds, mailAge, runAge: options.runAge ?? 0 };
    this.#logger = options.logger;
    this.#times = { ...TIMES, ...options.times };
    this.#worker = `${options.host}/${process.pid}-${randomBytes(4).toString('hex')}`;
    this.#outbox = new Outbox(this.#times.publish, 'Redis did not order the message');
    this.#polls = new Polls(this.#times.answer);
  }

  /** The broker that `config.sse.redis` asks for, if it does. */
  static of(
    egg: EggProcess,
    { redis, history, mailbox, runs }: SseOptions,
    { host, serves }: { host: string; serves: boolean },
  ): RedisBroker | undefined {
    if (redis === false) return undefined;
    const { maxMessages = MAX_MESSAGES } = redis;
    return new RedisBroker(redisOf(egg, redis), {
      app: egg.name,
      host,
      serves,
      bounds: { count: maxMessages, age: history === false ? READING_MS : history.age },
      mailbox,
      runAge: runs === false ? 0 : runs.age,
      logger: egg.coreLogger,
    });
  }

  async start(replica: Replica): Promise<void> {
    this.#replica = replica;
    this.#ticker = setInterval(() => this.#outbox.expire(), TICK_MS);
    this.#ticker.unref();
    const live = new Promise<void>((resolve) => {
      this.#supervision = supervise(
        'Redis',
        (up, signal) =>
          this.#session(() => {
            up();
            resolve();
          }, signal),
        this.#logger,
      );
    });
    // Nobody waits for a process without connections, and the workers start after the agent.
    if (!this.#serves) return;
    await within(this.#times.start, live, () => undefined);
  }

  async publish(given: FencedDraft, reach: Reach): Promise<Position> {
    const draft = { ...given, reach };
    const { number, promise } = this.#outbox.add(draft);
    if (this.#store !== undefined) {
      this.#unsent.push({ number, draft });
      // It goes on for others: it must not carry the context of the request that happened to start it.
      this.#context.runInAsyncScope(() => void this.#flush());
    }
    return promise;
  }

  /**
   * Runs a script in Redis, on the connection of the order, with keys of these names beside those of the order.
   *
   * Rejects while Redis is away, and when it does not answer.
   */
  async run(script: string, names: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    if (this.#store === undefined) throw new Error('Redis is away');
    return this.#store.run(script, names, args);
  }

  async catchUp(): Promise<boolean> {
    const store = this.#store;
    if (store === undefined) return false;
    let newest: Place | undefined;
    try {
      newest = await store.newest();
    } catch (error) {
      if (this.#store === store) this.#fail(error as Error);
      return false;
    }
    if (newest === undefined) return true;
    // What somebody has deleted from the stream never arrives.
    return within(this.#times.answer, this.#arrival(newest), () => false);
  }

  async ask(question: Question, reach: Reach): Promise<Poll> {
    const own = this.#serves ? this.#replica!.answer(question).then((answer) => [answer]) : Promise.resolve([]);
    const store = this.#store;
    if (store === undefined) return { answers: await own, complete: false };
    const host = reach === 'everywhere' ? '' : this.#host;
    const { answers, complete } = await this.#polls.take(async (poll) => {
      const alive = await store.ask({ poll, from: this.#worker, host, question });
      return alive.filter((worker) => worker !== this.#worker && (host === '' || worker.startsWith(`${host}/`)));
    });
    return { answers: [...(await own), ...answers.values()], complete };
  }

  async stop(): Promise<void> {
    const store = this.#store;
    if (store !== undefined) {
      await this.#outbox.drain(this.#times.stop);
      if (this.#serves) await store.leave().catch(() => undefined);
    }
    clearInterval(this.#ticker);
    this.#outbox.close();
    await this.#supervision?.stop();
  }

  /** Takes part for as long as the connections last. */
  async #session(up: () => void, signal: AbortSignal): Promise<void> {
    const clients: RedisClient[] = [];
    const connect = async (): Promise<RedisClient> => {
      const client = await connectRedis(this.#settings, signal);
      clients.push(client);
      return client;
    };
    const over = new AbortController();
    let takingPart: Promise<void> | undefined;
    try {
      const connecting = await Promise.allSettled([connect(), connect()]);
      const failed = connecting.find(({ status }) => status === 'rejected');
      if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
      const [commands, reader] = clients as [RedisClient, RedisClient];
      const broken = new Promise<never>((_, reject) => {
        this.#fail = reject;
        signal.addEventListener('abort', () => reject(new Error('stopped')), { signal: over.signal });
      });
      takingPart = this.#takePart(commands, reader, up, over.signal);
      await Promise.race([broken, whenEnded(commands), whenEnded(reader), takingPart]);
    } finally {
      this.#store = undefined;
      this.#unsent = [];
      this.#replica!.follow(false);
      over.abort();
      for (const client of clients) client.disconnect();
      await takingPart?.catch(() => undefined);
      this.#callArrivals();
    }
  }

  async #takePart(commands: RedisClient, reader: RedisClient, up: () => void, signal: AbortSignal): Promise<void> {
    const store = new Store(commands, { app: this.#app, worker: this.#worker, bounds: this.#bounds });
    const { at, now } = await store.attach(
      this.#place,
      this.#place === undefined ? {} : this.#witness.testify(this.#place),
    );
    let { id = '0-0' } = this.#place === undefined ? {} : { id: toId(this.#place) };
    if (!this.#serves && this.#place === undefined) {
      // Without connections there is nobody to give the past to.
      this.#begin(at);
      id = toId(at);
    }
    for (;;) {
      const { order = [] } = await store.read(reader, { order: id }, { count: READ_COUNT });
      for (const entry of order) await this.#take(store, entry);
      id = order.at(-1)?.id ?? id;
      if (order.length === 0 || (this.#place !== undefined && !isBefore(this.#place, at))) break;
    }
    // What is missing at the end is gone, too.
    await this.#advance(store, { term: at.term, seq: at.seq + 1 });
    if (this.#serves && this.#mailbox !== false) await this.#sort(store, at);
    if (this.#serves) await store.beat().catch(passOverRefusal);
    this.#store = store;
    this.#unsent = [...this.#outbox.after()];
    this.#replica!.follow(true);
    up();
    void this.#flush();
    // A question of the same ms is for this process, too.
    await Promise.race([this.#beat(store, signal), this.#follow(store, reader, id, `${now - 1}-0`)]);
  }

  /** Reads what comes, until the connection breaks. */
  async #follow(store: Store, reader: RedisClient, after: string, since: string): Promise<never> {
    const last = { order: after, ...(this.#serves && { questions: since }), inbox: since };
    for (;;) {
      const found = await store.read(reader, last, { count: READ_COUNT, block: BLOCK_MS });
      for (const entry of found.order ?? []) {
        // The store has lost something. This process may have heard more of the last epoch than others, who are to be
        // told, and may have sent something that is gone.
        if (toPlace(entry.id).term !== this.#place!.term) throw new Error('the order has begun anew');
        await this.#take(store, entry);
      }
      for (const { fields } of found.questions ?? []) void this.#answer(store, JSON.parse(fields.q!) as AskedQuestion);
      for (const { fields } of found.inbox ?? []) {
        const { poll, worker, answer } = JSON.parse(fields.a!) as GivenAnswer;
        this.#polls.hear(poll, worker, answer);
      }
      for (const name of ['order', 'questions', 'inbox'] as const) {
        const id = found[name]?.at(-1)?.id;
        if (id !== undefined) last[name] = id;
      }
    }
  }

  /** Says from time to time that this process lives, and sees whether it still has the order, and all of it. */
  async #beat(store: Store, signal: AbortSignal): Promise<void> {
    let missed: Place | undefined;
    for (;;) {
      await pause(this.#times.beat, undefined, { signal, ref: false });
      if (this.#store !== store) return;
      const before = this.#place!;
      if (this.#serves) await store.beat().catch(passOverRefusal);
      // It also finds out that Redis does not answer any more.
      const newest = await store.newest();
      if (this.#store !== store) return;
      if (newest?.term !== before.term && newest?.term !== this.#place!.term) throw new Error('the order is gone');
      // What is there and does not come is gone from the stream.
      if (missed !== undefined && isSame(missed, this.#place!)) throw new Error('the newest messages are gone');
      missed = isBefore(this.#place!, newest) && isSame(before, this.#place!) ? before : undefined;
    }
  }

  /** Takes the next entry of the order. */
  async #take(store: Store, { id, fields }: StreamEntry): Promise<void> {
    const place = toPlace(id);
    await this.#advance(store, place);
    this.#place = place;
    const { n: nonce = '', b: body, k, e: event, i: ownId, h: host = '', a, c: confirm, w } = fields;
    const run = runOf(fields);
    const dot = nonce.lastIndexOf('.');
    const publisher = nonce.slice(0, dot);
    const number = Number(nonce.slice(dot + 1));
    const position = toPosition(place);
    const keys = k === undefined ? [] : (JSON.parse(k) as string[]);
    this.#witness.hear(place.seq, host, keys);
    if (body !== undefined && this.#concerns(host) && this.#isNew(publisher, number)) {
      const act = a === undefined ? undefined : (JSON.parse(a) as Act);
      this.#replica!.deliver({ keys, body, event, id: ownId, nonce, act, confirm, run }, position);
    } else {
      this.#replica!.arrive(position);
    }
    if (w !== undefined) this.#learn(JSON.parse(w) as Testimony);
    if (publisher === this.#worker) this.#outbox.settle(number, { ...position });
    this.#callArrivals();
  }

  /** Says whether a message did not come before: Redis forgets that it had it when it loses it. */
  #isNew(publisher: string, number: number): boolean {
    const newest = this.#numbers.get(publisher) ?? 0;
    // Those that were heard of lately stand last.
    this.#numbers.delete(publisher);
    this.#numbers.set(publisher, Math.max(newest, number));
    if (this.#numbers.size > MAX_PUBLISHERS) this.#numbers.delete(this.#numbers.keys().next().value!);
    return number > newest;
  }

  /** Comes to just before a place: through the epochs in between, and past what the store no longer has. */
  async #advance(store: Store, { term, seq }: Place): Promise<void> {
    if (this.#place?.term === term && this.#place.seq === seq - 1) return;
    const held = this.#serves ? await store.held(this.#place ?? { term: 0, seq: 0 }, { term, seq }) : [];
    // Places of another epoch need not be higher ones.
    const survey = await store.survey(this.#place?.term === term ? this.#place.seq : 0);
    if (this.#place?.term !== term) {
      for (const epoch of withHeld(survey.epochs, held)) {
        const { term: each, first, last = 0, seen = 0 } = epoch;
        if (each > term || (this.#place !== undefined && each < this.#place.term)) continue;
        const isNew = this.#place?.term !== each;
        if (isNew) this.#begin({ term: each, seq: first - 1 });
        if (each === term) continue;
        this.#pass(last, survey);
        this.#deliverHeld(held, each);
        // Of what is new to this process nobody will tell it any more; of the rest, a witness does.
        if (isNew) this.#lose({ keys: [], others: { seq: seen, reason: 'lost' } });
      }
      if (this.#place?.term !== term) this.#begin({ term, seq: seq - 1 });
    }
    this.#pass(seq - 1, survey);
    this.#deliverHeld(held, term);
  }

  /** Delivers what of an epoch was passed over but is kept for mailboxes or runs. */
  #deliverHeld(held: readonly StreamEntry[], epoch: number): void {
    for (const { id, fields } of held) {
      const place = toPlace(id);
      const { n: nonce, b: body, e: event, i: ownId, h: host = '', k = '[]', m = '[]', t } = fields;
      if (place.term !== epoch || body === undefined || !this.#concerns(host)) continue;
      const run = runOf(fields);
      const keys = JSON.parse(run === undefined ? m : k) as string[];
      const age = Math.max(0, Date.now() - Number(t));
      this.#replica!.deliver({ keys, body, event, id: ownId, nonce, run, age }, toPosition(place));
    }
    this.#replica!.arrive(toPosition(this.#place!));
  }

  /** Says what waits, of what the store has had: what it lost may have been taken or not. */
  async #sort(store: Store, at: Place): Promise<void> {
    const { waiting, unread, evicted } = await store.mail(at);
    const { epochs } = await store.survey(at.seq);
    for (const { term, first, last = term === at.term ? at.seq : 0 } of epochs) {
      const places = new Map<string, number[]>();
      for (const [place, key] of waiting) {
        if (place.term === term) places.set(key, [...(places.get(key) ?? []), place.seq]);
      }
      const lost = this.#concerning(unread, first - 1).filter(({ seq }) => seq <= last);
      this.#replica!.keepWaiting({
        epoch: toPosition({ term, seq: 0 }).epoch,
        first,
        last,
        waiting: [...places].map(([key, seqs]) => ({ key, seqs })),
        lost: lost.map(({ key, seq }) => ({ key, seq, reason: seq <= evicted ? 'evicted' : 'expired' })),
      });
    }
  }

  #takesOf({ act }: StoreDraft): StoreTakes | undefined {
    if (act?.do !== 'take') return undefined;
    const taken = act.taken.flatMap(({ key, cursors }) =>
      cursors.map((cursor) => [toId(fromCursor(cursor)), key] as const),
    );
    const told = act.told.map(({ key, cursor }) => [fromCursor(cursor).seq, key, this.#host] as const);
    return { taken, told };
  }

  #begin(place: Place): void {
    if (this.#place !== undefined) this.#witness.end(this.#place);
    this.#place = place;
    const position = toPosition(place);
    this.#replica!.enter(position.epoch, NO_LOSSES);
    this.#replica!.arrive(position);
  }

  /** Passes over what is gone, up to a place of this epoch. */
  #pass(to: number, { trimmed, evicted, lost, forgotten, latest, unlisted }: Survey): void {
    const { seq: from } = this.#place!;
    if (to <= from) return;
    const reasonAt = (seq: number): LossReason => (seq <= evicted ? 'evicted' : 'expired');
    const keys = this.#concerning(lost, from).map(({ key, seq }) => ({
      key,
      seq: Math.min(seq, to),
      reason: reasonAt(seq),
    }));
    let others = forgotten > from ? { seq: Math.min(forgotten, to), reason: reasonAt(forgotten) } : undefined;
    if (trimmed < to) {
      // Somebody else took these away: a key with a newer message may have had one among them.
      const reason: LossReason = 'lost';
      const noted = Math.max(from, trimmed);
      keys.push(...this.#concerning(latest, noted).map(({ key, seq }) => ({ key, seq: Math.min(seq, to), reason })));
      if (unlisted > noted) others = { seq: Math.min(unlisted, to), reason };
    }
    this.#lose({ keys, others }, to);
  }

  /** Whether what is for a host, or for all, is for this one. */
  #concerns(host: string): boolean {
    return host === '' || host === this.#host;
  }

  #concerning(places: readonly KeyPlace[], after: number): KeyPlace[] {
    return places.filter(({ host, seq }) => seq > after && this.#concerns(host));
  }

  #lose(losses: Losses, to = losses.others?.seq ?? 0): void {
    const { term, seq } = this.#place!;
    if (to <= seq) return;
    this.#place = { term, seq: to };
    this.#replica!.enter(toPosition(this.#place).epoch, losses);
    this.#replica!.arrive(toPosition(this.#place));
  }

  /** Hears from a witness what the store has lost. */
  #learn(testimony: Testimony): void {
    const losses = this.#witness.learn(testimony, (host) => this.#concerns(host));
    if (losses !== undefined) this.#replica!.enter(toPosition(testimony).epoch, losses);
  }

  /** Sends what waits, a batch after the other, each when Redis has taken the one before. */
  async #flush(): Promise<void> {
    if (this.#flushing) return;
    this.#flushing = true;
    // What one turn publishes goes together.
    await nextTurn();
    try {
      while (this.#store !== undefined && this.#unsent.length > 0) {
        const store = this.#store;
        const batch = this.#nextBatch();
        let done: boolean;
        try {
          done = await store.append(batch, {
            term: this.#place!.term,
            host: ({ reach }) => (reach === 'everywhere' ? '' : this.#host),
            mailboxes: ({ keys }) => (this.#mailbox === false ? [] : mailboxesOf(this.#mailbox, keys)),
            takes: (draft) => this.#takesOf(draft),
          });
        } catch (error) {
          if (this.#store !== store) return;
          await this.#onRefused(error as Error);
          continue;
        }
        if (this.#store !== store) return;
        if (!done) throw new Error('the order is gone from Redis');
        if (this.#refused) this.#logger.info('Redis takes messages again');
        this.#refused = false;
        this.#unsent.splice(0, batch.length);
      }
    } catch (error) {
      this.#fail(error as Error);
    } finally {
      this.#flushing = false;
      if (this.#store !== undefined && this.#unsent.length > 0) void this.#flush();
    }
  }

  #nextBatch(): Numbered<StoreDraft>[] {
    let length = 0;
    let count = 0;
    for (const { draft } of this.#unsent) {
      length += draft.body.length;
      if (count > 0 && (count >= BATCH_COUNT || length > BATCH_LENGTH)) break;
      count++;
    }
    return this.#unsent.slice(0, count);
  }

  /** Waits when Redis takes nothing for now; any other error breaks the connection. */
  async #onRefused(error: Error): Promise<void> {
    if (!REFUSALS.test(error.message)) throw error;
    if (!this.#refused)
      this.#logger.warn(`Redis takes no messages for now, trying again until it does: ${error.message}`);
    this.#refused = true;
    await pause(this.#times.refused * (0.5 + Math.random()), undefined, { ref: false });
    // Who has waited for too long has been told.
    this.#unsent = [...this.#outbox.after()];
  }

  async #answer(store: Store, { poll, from, host, question }: AskedQuestion): Promise<void> {
    if (from === this.#worker || !this.#concerns(host)) return;
    const answer = await this.#replica!.answer(question);
    // Whoever asks does without an answer that does not come.
    await store.answer(from, { poll, worker: this.#worker, answer }).catch(() => undefined);
  }

  /** Resolves when this process has come to a place; false when it has lost sight of the order. */
  #arrival(place: Place): Promise<boolean> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (this.#store === undefined) resolve(false);
        else if (this.#place !== undefined && !isBefore(this.#place, place)) resolve(true);
        else this.#arrivals.push(check);
      };
      check();
    });
  }

  #callArrivals(): void {
    if (this.#arrivals.length === 0) return;
    const checks = this.#arrivals;
    this.#arrivals = [];
    for (const check of checks) check();
  }
}

interface AskedQuestion {
  readonly poll: number;
  readonly from: string;
  readonly host: string;
  readonly question: Question;
}

interface GivenAnswer {
  readonly poll: number;
  readonly worker: string;
  readonly answer: unknown;
}

function passOverRefusal(error: Error): void {
  if (!REFUSALS.test(error.message)) throw error;
}

function runOf({ r }: StreamEntry['fields']): RunPart | undefined {
  return r === undefined ? undefined : (JSON.parse(r) as RunPart);
}

/** The epochs, with those before them that only mail and runs are left of. */
function withHeld(epochs: Survey['epochs'], held: readonly StreamEntry[]): Survey['epochs'] {
  const known = new Set(epochs.map(({ term }) => term));
  const older = new Map<number, Epoch>();
  for (const { id } of held) {
    const { term, seq } = toPlace(id);
    if (!known.has(term)) older.set(term, { term, first: older.get(term)?.first ?? seq, last: seq });
  }
  return [...older.values(), ...epochs];
}
