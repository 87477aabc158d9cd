import { randomBytes } from 'node:crypto';
import type { Authorize } from './access/authorizer';
import { show } from './base/error';
import type { SseLogger } from './base/logger';
import { LoggedPromise } from './base/promises';
import type { Endpoint } from './http/endpoint';
import type { SseEvents } from './hub/events';
import type { SseStats } from './hub/hub';
import { ALL, checkKey, checkKeys } from './message/keys';
import { encode, type SseMessage } from './message/message';
import {
  checkOptions,
  checkReach,
  checkReason,
  type ConfirmedReceipt,
  type PublishOptions,
  type Receipt,
  type Total,
} from './message/publish';
import { reachOf, type Cause, type Reach } from './message/reach';
import type { Act, Broker, Draft } from './order/broker';
import { toCursor } from './order/cursor';
import { assemble, type Parts, type PartsOptions } from './parts';
import type { SseProducer } from './runs/production';
import type { RunReceipt } from './runs/runs';

/** `app.sse`: publish to the clients, and see what happens in this worker. */
export class Sse {
  readonly #parts: Parts;
  readonly #broker: Broker;
  readonly #causeOf: () => Cause;
  readonly #logger: SseLogger;
  readonly #isAlone: boolean;
  readonly #warned = new Set<string>();

  /** @internal */
  constructor(
    parts: PartsOptions & {
      causeOf: () => Cause;
      /** Whether no other process has connections of this app, so that reach `process` is all there is. */
      isAlone: boolean;
    },
  ) {
    this.#parts = assemble(parts);
    this.#broker = parts.broker;
    this.#isAlone = parts.isAlone;
    this.#causeOf = parts.causeOf;
    this.#logger = parts.logger;
  }

  /** @internal Answers the requests for streams. */
  get endpoint(): Endpoint {
    return this.#parts.endpoint;
  }

  /** @internal Resolves when messages arrive: streams may be opened from then on. */
  async start(): Promise<void> {
    const { lifetimes, hub } = this.#parts;
    lifetimes.start();
    await this.#broker.start(hub);
  }

  /** @internal Ends all streams, each told when to come back, then leaves the order. Safe to call twice. */
  async stop(): Promise<void> {
    const { runs, lifetimes, takenMail } = this.#parts;
    await runs.stop();
    await lifetimes.drain();
    takenMail.stop();
    await this.#broker.stop();
  }

  /**
   * Sends a message to every connection that holds a key; with several keys, a connection that holds more than one of
   * them gets it once.
   *
   * Resolves when the message has its place in the order, not when clients have read it. Rejects with an `SseError`,
   * nothing sent, for a key, a message or an option that cannot be; a failure that nobody awaits is logged.
   */
  publish(
    key: string | readonly string[],
    message: SseMessage,
    options: PublishOptions & { confirm: true },
  ): Promise<ConfirmedReceipt>;
  publish(key: string | readonly string[], message: SseMessage, options?: PublishOptions): Promise<Receipt>;
  publish(key: string | readonly string[], message: SseMessage, options?: PublishOptions): Promise<Receipt> {
    return this.#publish(() => checkKeys(key), message, options);
  }

  /** Sends a message to every connection; otherwise like `publish`. */
  publishAll(message: SseMessage, options: PublishOptions & { confirm: true }): Promise<ConfirmedReceipt>;
  publishAll(message: SseMessage, options?: PublishOptions): Promise<Receipt>;
  publishAll(message: SseMessage, options?: PublishOptions): Promise<Receipt> {
    return this.#publish(() => [ALL], message, options);
  }

  /**
   * Says who may hear what: called for each stream before it opens, with Egg's `ctx` and the keys that are asked for.
   *
   * It returns a `Grant`, or throws: an error with a `status`, as `ctx.throw(403)` makes, answers the request with it.
   * Called once, at boot; without it everybody gets the keys they ask for.
   */
  authorize(authorize: Authorize): this {
    this.#parts.authorizer.use(authorize);
    return this;
  }

  /** @internal Whether an open stream's request may be asked about again. */
  get hasAuthorizer(): boolean {
    return this.#parts.authorizer.isSet;
  }

  /** Connections of this worker that hold a key, now; without a key, all of them. */
  count(key?: string): number {
    return this.#parts.hub.count(key);
  }

  /** All connections of this worker, now. */
  countAll(): number {
    return this.#parts.hub.count();
  }

  /**
   * Connections that hold a key, or all of them without one, over all workers; with reach `process` of this one.
   *
   * Resolves within 2 s; `complete` is false when somebody did not answer, whose connections are not counted.
   */
  async total(key?: string, { reach = 'everywhere' }: Pick<PublishOptions, 'reach'> = {}): Promise<Total> {
    const checked = key === undefined ? ALL : checkKey(key);
    checkReach(reach);
    if (reach === 'process') return { clients: this.#parts.hub.count(checked), complete: true };
    const { answers, complete } = await this.#broker.ask({ count: checked }, reach);
    return { clients: answers.reduce<number>((sum, clients) => sum + Number(clients), 0), complete };
  }

  /** Ends this worker's connections that hold a key, and returns how many. Browsers come back unless the page closes. */
  close(key: string): number {
    return this.#parts.hub.close(checkKey(key));
  }

  /** Ends all connections of this worker, and returns how many. */
  closeAll(): number {
    return this.#parts.hub.close();
  }

  /**
   * Ends every connection that holds a key, or one of several, on all workers and hosts: of a user, a group, a pool.
   * Clients are told `sse:bye` with the reason. Browsers come back by themselves, and are authorized anew then.
   *
   * Resolves when all who live will do so; a worker that is out of sight does it when it is back.
   */
  disconnect(key: string | readonly string[], { reason = 'disconnected' }: { reason?: string } = {}): Promise<void> {
    return this.#act(() => ({ do: 'disconnect', keys: checkKeys(key), reason: checkReason(reason) }));
  }

  /**
   * Asks the authorizer again about every connection that holds a key, or one of several, on all workers and hosts: they
   * go on with what it grants now, without a break, and are told `sse:grant`. Those it refuses end with `sse:bye`.
   *
   * Resolves when all who live will do so; a worker that is out of sight does it when it is back.
   */
  reauthorize(key: string | readonly string[]): Promise<void> {
    return this.#act(() => ({ do: 'reauthorize', keys: checkKeys(key) }));
  }

  /**
   * Starts a run: work whose results come bit by bit, as a model's answer does, apart from the request that starts it.
   * What `produce` yields is kept: whoever opens the run's key (`run(id)`, `run:<id>` in a URL) gets all of it, from the
   * start or from its last event id, on any worker.
   *
   * A string it yields is a piece of text, which may be joined with its neighbours for a client that was behind; an object
   * is an event of its own. Its end is told by `sse:end`, and what it throws by `sse:error`.
   *
   * Resolves when the run has its place in the order. Rejects with an `SseError`: `ERR_SSE_RUN_EXISTS` when there is one
   * of that id, on whichever worker, going on or still readable; `ERR_SSE_RUN_ID`, `ERR_SSE_RUN_PRODUCER`.
   */
  run(id: string | number, produce: SseProducer): Promise<RunReceipt> {
    return LoggedPromise.of(this.#parts.runs.start(id, produce), (error) => {
      this.#logger.error(new Error('a run was not started, and nobody awaited it', { cause: error }));
    });
  }

  /**
   * Ends a run, on whichever worker it is produced: its readers are told `sse:end`, and its producer's signal is aborted.
   * Resolves with false when no such run is going on.
   */
  stopRun(id: string | number): Promise<boolean> {
    return LoggedPromise.of(this.#parts.runs.end(id), (error) => {
      this.#logger.error(new Error('a run was not stopped, and nobody awaited it', { cause: error }));
    });
  }

  /** What this worker holds, now: for metrics. */
  get stats(): SseStats {
    return this.#parts.hub.stats;
  }

  /** Calls a listener whenever something happens in this worker. One that throws is logged and disturbs nobody. */
  on<E extends keyof SseEvents>(event: E, listener: (...args: SseEvents[E]) => void): this {
    this.#parts.events.on(event, listener);
    return this;
  }

  /** Takes a listener away. */
  off<E extends keyof SseEvents>(event: E, listener: (...args: SseEvents[E]) => void): this {
    this.#parts.events.off(event, listener);
    return this;
  }

  #act(read: () => Act): Promise<void> {
    const publish = async (): Promise<void> => {
      await this.#broker.publish({ keys: [], body: '', act: read() }, 'everywhere');
    };
    return LoggedPromise.of(publish(), (error) => {
      this.#logger.error(
        new Error('connections were not ended or authorized anew, and nobody awaited it', { cause: error }),
      );
    });
  }

  #publish(keys: () => readonly string[], message: SseMessage, options: PublishOptions = {}): Promise<Receipt> {
    return LoggedPromise.of(this.#give(keys, message, options), (error) => {
      this.#logger.error(new Error('a message was not published, and nobody awaited it', { cause: error }));
    });
  }

  /** Everything is read before this returns: what the caller does to its object afterwards changes nothing. */
  #give(keys: () => readonly string[], message: SseMessage, options: PublishOptions): Promise<Receipt> {
    // A promise costs as much as all else here: there is one, and what is derived from it.
    try {
      const checkedKeys = keys();
      const { body, id, event } = encode(message);
      const draft: Draft = { keys: checkedKeys, body, id, event };
      const reach = this.#reachFor(options);
      return options.confirm === true ? this.#sendAndConfirm(draft, reach) : this.#send(draft, reach);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #sendAndConfirm(draft: Draft, reach: Reach): Promise<ConfirmedReceipt> {
    const confirm = randomBytes(12).toString('hex');
    return { ...(await this.#send({ ...draft, confirm }, reach)), ...(await this.#confirm(confirm, reach)) };
  }

  /** Resolves once the message is on its way. */
  #send(draft: Draft, reach: Reach): Promise<Receipt> {
    const { id } = draft;
    if (!this.#isLocal(reach)) {
      return this.#broker.publish(draft, reach).then((position) => ({ id: id ?? toCursor(position), reach }));
    }
    this.#parts.hub.deliver(draft, undefined);
    return Promise.resolve({ id: id ?? '', reach });
  }

  async #confirm(name: string, reach: Reach): Promise<Pick<ConfirmedReceipt, 'clients' | 'complete'>> {
    const question = { took: name };
    const { answers, complete } = this.#isLocal(reach)
      ? { answers: [await this.#parts.hub.answer(question)], complete: true }
      : await this.#broker.ask(question, reach);
    const known = answers.filter((answer) => answer !== null);
    return {
      clients: known.reduce<number>((sum, clients) => sum + Number(clients), 0),
      complete: complete && known.length === answers.length,
    };
  }

  /** Whether a message goes to this process's own connections, past the order. */
  #isLocal(reach: Reach): boolean {
    return reach === 'process' && !this.#isAlone;
  }

  #reachFor(options: PublishOptions): Reach {
    checkOptions(options);
    const { reach } = options;
    if (reach === undefined) {
      const cause = this.#causeOf();
      return reachOf(cause) ?? this.#unknownReach(cause);
    }
    checkReach(reach);
    return reach;
  }

  #unknownReach(cause: Cause): Reach {
    const name = cause.kind === 'schedule' ? `a schedule of type ${show(cause.type)}` : cause.kind;
    if (!this.#warned.has(name)) {
      this.#warned.add(name);
      this.#logger.warn(
        `publish was called by ${name}: how many workers run it is not known, so it reaches this worker's own connections; say { reach: 'process' | 'host' | 'everywhere' }`,
      );
    }
    return 'process';
  }
}
