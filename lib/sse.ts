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

  /** @internal Answers requests for streams. */
  get endpoint(): Endpoint {
    return this.#parts.endpoint;
  }

  /** @internal Enters the order. Resolves when messages arrive: streams may be opened from then on. */
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
   * nothing sent, for a key, a message or an option that is not valid. A failure that is not awaited is logged.
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
   * Sets the app's authorizer, which decides who a client is and what it may hear. It is called for each stream before
   * that opens, with Egg's `ctx` and the keys that the client asks for.
   *
   * The authorizer returns a `Grant`, or throws: an error with a `status`, as `ctx.throw(403)` makes, answers the
   * request with it. Called once, at boot. Left out: every client gets the keys that it asks for.
   */
  authorize(authorize: Authorize): this {
    this.#parts.authorizer.use(authorize);
    return this;
  }

  /** @internal Whether there is an authorizer, which may be asked again about an open stream's request. */
  get hasAuthorizer(): boolean {
    return this.#parts.authorizer.isSet;
  }

  /** The number of connections of this worker that hold a key, now; without a key, of all. */
  count(key?: string): number {
    return this.#parts.hub.count(key);
  }

  /** The number of all connections of this worker, now. */
  countAll(): number {
    return this.#parts.hub.count();
  }

  /**
   * The number of connections that hold a key, or of all without one, over all workers; with reach `process` of this
   * one.
   *
   * Resolves within 2 s. `complete` is false when a worker did not answer: its connections are not counted.
   */
  async total(key?: string, { reach = 'everywhere' }: Pick<PublishOptions, 'reach'> = {}): Promise<Total> {
    const checked = key === undefined ? ALL : checkKey(key);
    checkReach(reach);
    if (reach === 'process') return { clients: this.#parts.hub.count(checked), complete: true };
    const { answers, complete } = await this.#broker.ask({ count: checked }, reach);
    return { clients: answers.reduce<number>((sum, clients) => sum + Number(clients), 0), complete };
  }

  /** Ends this worker's connections that hold a key; returns how many. Browsers come back unless the page closes. */
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
   * Resolves when it is certain that all live workers do it. A worker that is out of sight does it when it is back.
   */
  disconnect(key: string | readonly string[], { reason = 'disconnected' }: { reason?: string } = {}): Promise<void> {
    return this.#act(() => ({ do: 'disconnect', keys: checkKeys(key), reason: checkReason(reason) }));
  }

  /**
   * Asks the authorizer again about every connection that holds a key, or one of several, on all workers and hosts:
   * they go on with what it grants now, without a break, and are told `sse:grant`. Connections that it refuses end with
   * `sse:bye`.
   *
   * Resolves when it is certain that all live workers do it. A worker that is out of sight does it when it is back.
   */
  reauthorize(key: string | readonly string[]): Promise<void> {
    return this.#act(() => ({ do: 'reauthorize', keys: checkKeys(key) }));
  }

  /**
   * Starts a run: work whose results come bit by bit, as a model's answer does, apart from the request that starts it.
   * All that `produce` yields is kept for `runs.age`: a client that opens the run's key (`run(id)`, `run:<id>` in a
   * URL) gets all of it, from the start or from its last event id, on any worker.
   *
   * A yielded string is a piece of text, which may be joined with its neighbours for a client that was behind; an
   * object is an event of its own. Clients are told of the end by `sse:end`, and of an error that `produce` throws by
   * `sse:error`.
   *
   * Resolves when the run has its place in the order. Rejects with an `SseError`: `ERR_SSE_RUN_EXISTS` when there is
   * one of that id, on whichever worker, going on or still readable; `ERR_SSE_RUN_ID`, `ERR_SSE_RUN_PRODUCER`.
   */
  run(id: string | number, produce: SseProducer): Promise<RunReceipt> {
    return LoggedPromise.of(this.#parts.runs.start(id, produce), (error) => {
      this.#logger.error(new Error('a run was not started, and nobody awaited it', { cause: error }));
    });
  }

  /**
   * Ends a run, on whichever worker it is produced: its readers are told `sse:end`, and its producer's signal is
   * aborted. Resolves with false when no such run is going on.
   */
  stopRun(id: string | number): Promise<boolean> {
    return LoggedPromise.of(this.#parts.runs.end(id), (error) => {
      this.#logger.error(new Error('a run was not stopped, and nobody awaited it', { cause: error }));
    });
  }

  /** Numbers of this worker, now: for metrics. */
  get stats(): SseStats {
    return this.#parts.hub.stats;
  }

  /** Calls a listener at each event of a name in this worker. An error that it throws is logged and has no effect. */
  on<E extends keyof SseEvents>(event: E, listener: (...args: SseEvents[E]) => void): this {
    this.#parts.events.on(event, listener);
    return this;
  }

  /** Removes a listener. */
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

  /** Reads the message before it returns: changes that the caller makes to its object later have no effect. */
  #give(keys: () => readonly string[], message: SseMessage, options: PublishOptions): Promise<Receipt> {
    // A promise costs as much as all else here: an async function would make one more.
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

  /** Resolves when the message has its place in the order, or, past the order, when it is in the log. */
  #send(draft: Draft, reach: Reach): Promise<Receipt> {
    const { id } = draft;
    if (!this.#isLocal(reach)) {
      return this.#broker.publish(draft, reach).then((position) => ({ id: id ?? toCursor(position), reach }));
    }
    this.#parts.hub.deliver(draft, undefined);
    return Promise.resolve({ id: id ?? '', reach });
  }

  async #confirm(name: string, reach: Reach): Promise<Pick<ConfirmedReceipt, 'clients' | 'complete'>> {
    const question = { received: name };
    const { answers, complete } = this.#isLocal(reach)
      ? { answers: [await this.#parts.hub.answer(question)], complete: true }
      : await this.#broker.ask(question, reach);
    const known = answers.filter((answer) => answer !== null);
    return {
      clients: known.reduce<number>((sum, clients) => sum + Number(clients), 0),
      complete: complete && known.length === answers.length,
    };
  }

  /** Whether a message goes to this process's own connections alone, past the order. */
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
