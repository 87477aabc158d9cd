import { randomBytes } from 'node:crypto';
import { Authorizer, type Authorize } from './access/authorizer';
import type { Act, Broker, Draft } from './order/broker';
import type { Connection } from './connection/connection';
import { toCursor, type Position } from './order/cursor';
import { Endpoint } from './http/endpoint';
import { type SseError, show } from './base/error';
import { encode, type SseMessage } from './message/message';
import { Hub, type SseStats } from './hub/hub';
import type { SseEvents } from './hub/events';
import type { SseLogger } from './base/logger';
import type { SseOptions } from './options/options';
import type { SseProducer } from './runs/production';
import { Publication } from './base/promises';
import { reachOf, type Cause, type Reach } from './message/reach';
import type { SseRequest } from './connection/wire';
import { Runs, type Detach, type RunReceipt } from './runs/runs';
import { Takes } from './log/taken_mail';
import { ALL, checkKey, checkKeys } from './message/keys';
import {
  type ConfirmedReceipt,
  type PublishOptions,
  type Receipt,
  type Total,
  checkOptions,
  checkReach,
  checkReason,
} from './message/publish';

// The app's sessions and directories are asked for each.
const REAUTHORIZED_AT_ONCE = 16;

/** `app.sse`: publish to the clients, and see what happens in this worker. */
export class Sse {
  /** @internal Answers the requests for streams. */
  readonly endpoint: Endpoint;
  readonly #hub: Hub;
  readonly #authorizer: Authorizer;
  readonly #broker: Broker;
  readonly #takes: Takes;
  readonly #runs: Runs;
  readonly #causeOf: () => Cause;
  readonly #logger: SseLogger;
  readonly #isAlone: boolean;
  readonly #contextOf: (request: SseRequest) => Promise<object>;
  readonly #warned = new Set<string>();

  /** @internal `isAlone`: no other process has connections of this app, so that reach `process` is all there is. */
  constructor(parts: {
    options: SseOptions;
    broker: Broker;
    causeOf: () => Cause;
    logger: SseLogger;
    isAlone: boolean;
    /** The context of an open stream's request, for the authorizer. Left out: the request. */
    contextOf?: (request: SseRequest) => Promise<object>;
    /** What runs go on in when the request that started them is over. Left out: no context. */
    detach?: Detach;
    /** Whether runs may be started here. Left out: if there are any. */
    producesRuns?: boolean;
  }) {
    this.#hub = new Hub(parts.options, parts.logger);
    this.#broker = parts.broker;
    this.#authorizer = new Authorizer(parts.options, parts.logger);
    this.endpoint = new Endpoint(this.#hub, parts.options, {
      authorizer: this.#authorizer,
      order: this.#broker,
      logger: parts.logger,
    });
    this.#hub.onReauthorize((connections) => void this.#reauthorizeAll(connections));
    this.#takes = new Takes((act) => this.#order(act));
    this.#hub.onTake(this.#takes);
    this.#runs = new Runs({
      hub: this.#hub,
      broker: this.#broker,
      logger: parts.logger,
      isOn: parts.options.runs !== false && parts.producesRuns !== false,
      detach: parts.detach,
    });
    this.#hub.onRuns(this.#runs);
    this.#hub.onCatchUp(() => this.#broker.catchUp());
    this.#isAlone = parts.isAlone;
    this.#contextOf = parts.contextOf ?? (async (request) => request);
    this.#causeOf = parts.causeOf;
    this.#logger = parts.logger;
  }

  /** @internal Resolves when messages arrive: streams may be opened from then on. */
  async start(): Promise<void> {
    this.#hub.start();
    await this.#broker.start(this.#hub);
  }

  /** @internal Ends all streams, each told when to come back, then leaves the order. Safe to call twice. */
  async stop(): Promise<void> {
    await this.#runs.stop();
    await this.#hub.drain();
    this.#takes.stop();
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
    this.#authorizer.use(authorize);
    return this;
  }

  /** @internal Whether an open stream's request may be asked about again. */
  get hasAuthorizer(): boolean {
    return this.#authorizer.isSet;
  }

  /** Connections of this worker that hold a key, now; without a key, all of them. */
  count(key?: string): number {
    return this.#hub.count(key);
  }

  /** All connections of this worker, now. */
  countAll(): number {
    return this.#hub.count();
  }

  /**
   * Connections that hold a key, or all of them without one, over all workers; with reach `process` of this one.
   *
   * Resolves within 2 s; `complete` is false when somebody did not answer, whose connections are not counted.
   */
  async total(key?: string, { reach = 'everywhere' }: Pick<PublishOptions, 'reach'> = {}): Promise<Total> {
    const checked = key === undefined ? ALL : checkKey(key);
    checkReach(reach);
    if (reach === 'process') return { clients: this.#hub.count(checked), complete: true };
    const { answers, complete } = await this.#broker.ask({ count: checked }, reach);
    return { clients: answers.reduce<number>((sum, clients) => sum + Number(clients), 0), complete };
  }

  /** Ends this worker's connections that hold a key, and returns how many. Browsers come back unless the page closes. */
  close(key: string): number {
    return this.#hub.close(checkKey(key));
  }

  /** Ends all connections of this worker, and returns how many. */
  closeAll(): number {
    return this.#hub.close();
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
    return Publication.of(this.#runs.start(id, produce), (error) => {
      this.#logger.error(new Error('a run was not started, and nobody awaited it', { cause: error }));
    });
  }

  /**
   * Ends a run, on whichever worker it is produced: its readers are told `sse:end`, and its producer's signal is aborted.
   * Resolves with false when no such run is going on.
   */
  stopRun(id: string | number): Promise<boolean> {
    return Publication.of(this.#runs.end(id), (error) => {
      this.#logger.error(new Error('a run was not stopped, and nobody awaited it', { cause: error }));
    });
  }

  /** What this worker holds, now: for metrics. */
  get stats(): SseStats {
    return this.#hub.stats;
  }

  /** Calls a listener whenever something happens in this worker. One that throws is logged and disturbs nobody. */
  on<E extends keyof SseEvents>(event: E, listener: (...args: SseEvents[E]) => void): this {
    this.#hub.events.on(event, listener);
    return this;
  }

  /** Takes a listener away. */
  off<E extends keyof SseEvents>(event: E, listener: (...args: SseEvents[E]) => void): this {
    this.#hub.events.off(event, listener);
    return this;
  }

  /** Gives an act its place in the order: it is for everyone. */
  #order(act: Act): Promise<Position> {
    return this.#broker.publish({ keys: [], body: '', act }, 'everywhere');
  }

  #act(read: () => Act): Promise<void> {
    const publish = async (): Promise<void> => {
      await this.#order(read());
    };
    return Publication.of(publish(), (error) => {
      this.#logger.error(
        new Error('connections were not ended or authorized anew, and nobody awaited it', { cause: error }),
      );
    });
  }

  async #reauthorizeAll(connections: ReadonlySet<Connection>): Promise<void> {
    const left = [...connections];
    const work = async (): Promise<void> => {
      for (let next = left.pop(); next !== undefined; next = left.pop()) {
        const connection = next;
        try {
          const grant = this.#authorizer.admit(() => this.#contextOf(connection.request), { keys: connection.asked });
          this.#hub.regrant(connection, await grant);
        } catch (error) {
          // Also when it could not be found out: its client comes back, and is answered why.
          connection.close('refused', { text: (error as SseError).message });
        }
      }
    };
    await Promise.all(Array.from({ length: REAUTHORIZED_AT_ONCE }, work));
  }

  #publish(keys: () => readonly string[], message: SseMessage, options: PublishOptions = {}): Promise<Receipt> {
    return Publication.of(this.#give(keys, message, options), (error) => {
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
    this.#hub.deliver(draft, undefined);
    return Promise.resolve({ id: id ?? '', reach });
  }

  async #confirm(name: string, reach: Reach): Promise<Pick<ConfirmedReceipt, 'clients' | 'complete'>> {
    const question = { took: name };
    const { answers, complete } = this.#isLocal(reach)
      ? { answers: [await this.#hub.answer(question)], complete: true }
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
