import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { SseLogger } from '../../base/logger';
import { within } from '../../base/promises';
import type { Reach } from '../../message/reach';
import type { SseMailbox, SseOptions } from '../../options/options';
import type { Broker, Poll, Question, Replica } from '../../order/broker';
import type { Position } from '../../order/cursor';
import { connectRedis, whenEnded, type RedisClient, type RedisSettings } from '../../redis/client';
import { type EggProcess, redisOf } from '../../redis/settings';
import { supervise, type Supervision } from '../../redis/supervise';
import { Polls } from '../polls';
import type { FencedDraft } from './draft';
import { Follower } from './follower';
import { isBefore, isSame, toPlace, type Place } from './place';
import { Sender, type Session } from './sender';
import { isRefusal, Store, type StoreBounds } from './store';

/** How long things may take, in ms. */
export interface RedisTimes {
  /** An app that starts waits this long for Redis, then starts without it. */
  readonly start: number;
  /** A publish that gets no place fails after this. */
  readonly publish: number;
  /** A question to all workers, and a request to catch up, is over after this. */
  readonly answer: number;
  /** A worker that stops waits this long for its publishes in flight. */
  readonly stop: number;
  /** A worker says so often that it lives. */
  readonly beat: number;
  /** A command that Redis refuses for now, as for want of memory, is tried again after this. */
  readonly refused: number;
}

const TIMES: RedisTimes = { start: 5_000, publish: 15_000, answer: 1_500, stop: 1_000, beat: 2_000, refused: 500 };

const BLOCK_MS = 2_000;

const MAX_MESSAGES = 100_000;
// Without a history, Redis keeps messages only for as long as workers may need to read them.
const READING_MS = 60_000;

/**
 * A process's end of the order that Redis gives to all hosts.
 *
 * It reads the order as a stream, with a connection of its own, from the last place it has: messages that it misses
 * while the connection is broken, it reads later. A publish resolves when this process has read its own message back; a
 * draft that was sent and not read back is sent again after a break, and Redis orders it once.
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
  readonly #sender: Sender;
  #replica: Replica | undefined;
  #follower: Follower | undefined;
  #supervision: Supervision | undefined;
  /** The connections of now, once the backlog has been read; undefined while there are none. */
  #session: Session | undefined;
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
      /** ms that runs are kept. Left out: the app has no runs. */
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
    this.#sender = new Sender({
      host: this.#host,
      mailbox: this.#mailbox,
      logger: this.#logger,
      patience: this.#times.publish,
      refused: this.#times.refused,
    });
    this.#polls = new Polls(this.#times.answer);
  }

  /** The broker of a process of an app, if `config.sse.redis` asks for one. */
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
    this.#follower = new Follower(replica, {
      worker: this.#worker,
      host: this.#host,
      serves: this.#serves,
      hasMailboxes: this.#serves && this.#mailbox !== false,
      onOwn: (number, position) => this.#sender.place(number, position),
    });
    this.#sender.start();
    const live = new Promise<void>((resolve) => {
      this.#supervision = supervise(
        'Redis',
        (up, signal) =>
          this.#connect(() => {
            up();
            resolve();
          }, signal),
        this.#logger,
      );
    });
    // The agent does not wait: it has no connections, and the workers start after it.
    if (!this.#serves) return;
    await within(this.#times.start, live, () => undefined);
  }

  async publish(draft: FencedDraft, reach: Reach): Promise<Position> {
    return this.#sender.publish({ ...draft, reach });
  }

  /**
   * Runs a script in Redis, on the connection of the order, with keys of these names beside those of the order.
   *
   * Rejects while Redis is away, and when it does not answer.
   */
  async run(script: string, names: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    if (this.#session === undefined) throw new Error('Redis is away');
    return this.#session.store.run(script, names, args);
  }

  async catchUp(): Promise<boolean> {
    const session = this.#session;
    if (session === undefined) return false;
    let newest: Place | undefined;
    try {
      newest = await session.store.newest();
    } catch (error) {
      session.fail(error as Error);
      return false;
    }
    if (newest === undefined) return true;
    // A message that others have deleted from the stream never arrives.
    return within(this.#times.answer, this.#follower!.arrival(newest), () => false);
  }

  async ask(question: Question, reach: Reach): Promise<Poll> {
    const own = this.#serves ? this.#replica!.answer(question).then((answer) => [answer]) : Promise.resolve([]);
    const { store } = this.#session ?? {};
    if (store === undefined) return { answers: await own, complete: false };
    const host = reach === 'everywhere' ? '' : this.#host;
    const { answers, complete } = await this.#polls.ask(async (poll) => {
      const alive = await store.ask({ poll, from: this.#worker, host, question });
      return alive.filter((worker) => worker !== this.#worker && (host === '' || worker.startsWith(`${host}/`)));
    });
    return { answers: [...(await own), ...answers.values()], complete };
  }

  async stop(): Promise<void> {
    const { store } = this.#session ?? {};
    if (store !== undefined) {
      await this.#sender.drain(this.#times.stop);
      if (this.#serves) await store.leave().catch(() => undefined);
    }
    this.#sender.close();
    await this.#supervision?.stop();
  }

  /** Connects, and is in the order for as long as the connections last. */
  async #connect(up: () => void, signal: AbortSignal): Promise<void> {
    const clients: RedisClient[] = [];
    const connect = async (): Promise<RedisClient> => {
      const client = await connectRedis(this.#settings, signal);
      clients.push(client);
      return client;
    };
    const over = new AbortController();
    let stay: Promise<void> | undefined;
    try {
      const connecting = await Promise.allSettled([connect(), connect()]);
      const failed = connecting.find(({ status }) => status === 'rejected');
      if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
      const [commands, reader] = clients as [RedisClient, RedisClient];
      await new Promise<void>((resolve, fail) => {
        signal.addEventListener('abort', () => fail(new Error('stopped')), { signal: over.signal });
        stay = this.#enter(commands, reader, { up, fail, signal: over.signal });
        Promise.race([whenEnded(commands), whenEnded(reader), stay]).then(resolve, fail);
      });
    } finally {
      this.#session = undefined;
      this.#sender.detach();
      this.#follower!.follow(false);
      over.abort();
      for (const client of clients) client.disconnect();
      await stay?.catch(() => undefined);
    }
  }

  async #enter(
    commands: RedisClient,
    reader: RedisClient,
    { up, fail, signal }: { up: () => void; fail: (error: Error) => void; signal: AbortSignal },
  ): Promise<void> {
    const store = new Store(commands, reader, { app: this.#app, worker: this.#worker, bounds: this.#bounds });
    const follower = this.#follower!;
    const { at, now } = await store.enter(follower.testimony);
    const last = await follower.catchUp(store, at);
    if (this.#serves) await store.beat().catch(passOverRefusal);
    const session = { store, term: at.term, fail };
    this.#session = session;
    follower.follow(true);
    up();
    this.#sender.attach(session);
    // Stream ids begin with the ms: a question of the same ms is for this process, too.
    await Promise.race([this.#beat(session, signal), this.#follow(session, last, `${now - 1}-0`)]);
  }

  /** Reads the order, questions and answers as they come, until the connection breaks. */
  async #follow({ store, term }: Session, after: string, since: string): Promise<never> {
    const last = { order: after, ...(this.#serves && { questions: since }), inbox: since };
    for (;;) {
      const found = await store.read(last, BLOCK_MS);
      for (const entry of found.order ?? []) {
        // The store has lost something. This process has to enter again: to tell others of messages that only it has
        // heard, and to send again the drafts that are gone.
        if (toPlace(entry.id).term !== term) throw new Error('the order has begun anew');
        await this.#follower!.accept(store, entry);
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

  /** Says from time to time that this process lives, and looks whether Redis still has the order, and all of it. */
  async #beat(session: Session, signal: AbortSignal): Promise<void> {
    const { store, term } = session;
    const follower = this.#follower!;
    let missed: Place | undefined;
    for (;;) {
      await pause(this.#times.beat, undefined, { signal, ref: false });
      if (this.#session !== session) return;
      const before = follower.place!;
      if (this.#serves) await store.beat().catch(passOverRefusal);
      // This also notices a Redis that does not answer any more.
      const newest = await store.newest();
      if (this.#session !== session) return;
      if (newest?.term !== term) throw new Error('the order is gone');
      // Messages that have a place, but have not come within a beat, are gone from the stream.
      if (missed !== undefined && isSame(missed, follower.place!)) throw new Error('the newest messages are gone');
      missed = isBefore(follower.place!, newest) && isSame(before, follower.place!) ? before : undefined;
    }
  }

  async #answer(store: Store, { poll, from, host, question }: AskedQuestion): Promise<void> {
    if (from === this.#worker || (host !== '' && host !== this.#host)) return;
    const answer = await this.#replica!.answer(question);
    // The process that asked has a deadline, and does without this answer.
    await store.answer(from, { poll, worker: this.#worker, answer }).catch(() => undefined);
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
  if (!isRefusal(error)) throw error;
}
