import type { Broker, Draft } from './broker';
import { toCursor } from './cursor';
import { Endpoint } from './endpoint';
import { SseError, show } from './error';
import { encode, type SseMessage } from './event';
import { ALL, Hub, type SseEvents, type SseLogger, type SseStats } from './hub';
import type { SseOptions } from './options';
import { Publication } from './publication';
import { REACHES, reachOf, type Cause, type Reach } from './reach';

/** How a message is published. */
export interface PublishOptions {
  /** How far it goes. Left out: as far as its cause (see the README's table). */
  reach?: Reach;
}

/** What `publish` promises. */
export interface Receipt {
  /** The id that clients get with the message. */
  readonly id: string;
  /** How far it goes. */
  readonly reach: Reach;
}

/** `app.sse`: publish to the clients, and see what happens in this worker. */
export class Sse {
  /** @internal Answers the requests for streams. */
  readonly endpoint: Endpoint;
  readonly #hub: Hub;
  readonly #broker: Broker;
  readonly #causeOf: () => Cause;
  readonly #logger: SseLogger;
  readonly #warned = new Set<string>();

  /** @internal */
  constructor(parts: { options: SseOptions; broker: Broker; causeOf: () => Cause; logger: SseLogger }) {
    this.#hub = new Hub(parts.options, parts.logger);
    this.endpoint = new Endpoint(this.#hub, parts.options);
    this.#broker = parts.broker;
    this.#causeOf = parts.causeOf;
    this.#logger = parts.logger;
  }

  /** @internal Resolves when messages arrive: streams may be opened from then on. */
  async start(): Promise<void> {
    this.#hub.start(await this.#broker.start((message) => this.#hub.deliver(message)));
  }

  /** @internal Ends all streams, each told when to come back, then leaves the order. Safe to call twice. */
  async stop(): Promise<void> {
    await this.#hub.drain();
    await this.#broker.stop();
  }

  /**
   * Sends a message to every connection that holds a key; with several keys, a connection that holds more than one of
   * them gets it once.
   *
   * Resolves when the message has its place in the order, not when clients have read it. Rejects with an `SseError`,
   * nothing sent, for a key, a message or an option that cannot be; a failure that nobody awaits is logged.
   */
  publish(key: string | readonly string[], message: SseMessage, options?: PublishOptions): Promise<Receipt> {
    return this.#publish(() => checkKeys(key), message, options);
  }

  /** Sends a message to every connection; otherwise like `publish`. */
  publishAll(message: SseMessage, options?: PublishOptions): Promise<Receipt> {
    return this.#publish(() => [ALL], message, options);
  }

  /** Connections of this worker that hold a key, now; without a key, all of them. */
  count(key?: string): number {
    return this.#hub.count(key);
  }

  /** All connections of this worker, now. */
  countAll(): number {
    return this.#hub.count();
  }

  /** Ends this worker's connections that hold a key, and returns how many. Browsers come back unless the page closes. */
  close(key: string): number {
    const [checked] = checkKeys(key);
    return this.#hub.close(checked);
  }

  /** Ends all connections of this worker, and returns how many. */
  closeAll(): number {
    return this.#hub.close();
  }

  /** What this worker holds, now: for metrics. */
  get stats(): SseStats {
    return this.#hub.stats;
  }

  /** Calls a listener whenever something happens in this worker. One that throws is logged and disturbs nobody. */
  on<E extends keyof SseEvents>(event: E, listener: (...args: SseEvents[E]) => void): this {
    this.#hub.on(event, listener);
    return this;
  }

  /** Takes a listener away. */
  off<E extends keyof SseEvents>(event: E, listener: (...args: SseEvents[E]) => void): this {
    this.#hub.off(event, listener);
    return this;
  }

  #publish(keys: () => readonly string[], message: SseMessage, options: PublishOptions = {}): Promise<Receipt> {
    // Everything is read before this returns: what the caller does to its object afterwards changes nothing.
    const publish = async (): Promise<Receipt> => {
      const draft: Draft = { keys: keys(), ...encode(message), reach: this.#reachFor(options) };
      const position = await this.#broker.publish(draft);
      return { id: draft.id ?? toCursor(position), reach: draft.reach };
    };
    return Publication.of(publish(), (error) => {
      this.#logger.error(new Error('a message was not published, and nobody awaited it', { cause: error }));
    });
  }

  #reachFor({ reach }: PublishOptions): Reach {
    if (reach === undefined) {
      const cause = this.#causeOf();
      return reachOf(cause) ?? this.#unknownReach(cause);
    }
    if (!REACHES.includes(reach)) {
      throw new SseError('ERR_SSE_REACH', `reach is ${show(reach)}; it must be one of ${REACHES.join(', ')}`);
    }
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

function checkKeys(key: unknown): readonly string[] {
  const keys: readonly unknown[] = Array.isArray(key) ? key : [key];
  if (keys.length === 0) {
    throw new SseError('ERR_SSE_KEY', 'key is an empty array; name at least one key, or use publishAll');
  }
  for (const each of keys) {
    if (typeof each !== 'string' || each === '') {
      throw new SseError(
        'ERR_SSE_KEY',
        `key is ${show(each)}; it must be a non-empty string or an array of them: publish(key, message), or publishAll(message) for everyone`,
      );
    }
  }
  return [...new Set(keys as readonly string[])];
}
