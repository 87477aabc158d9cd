import { setImmediate } from 'node:timers';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { SseError, toTold } from '../base/error';
import type { SseLogger } from '../base/logger';
import { LoggedPromise } from '../base/promises';
import type { CloseReason, Connection, Feed } from '../connection/connection';
import type { SseResponse } from '../connection/wire';
import type { Joined } from '../hub/joining';
import { encodeOwn, toFrame, type EncodedEvent } from '../message/frame';
import { encode, type SseMessage } from '../message/message';
import type { First } from '../options/open';
import { Source, type SseSource } from './source';

/** Options of `pipe`. */
export interface PipeOptions {
  /** Whether the stream ends when the source does. Left out: yes. */
  readonly end?: boolean;
}

/** Lets the client of a request join, with a feed for its stream; undefined when it has left. Rejects when refused. */
export type Join = (feed: Feed) => Promise<Joined | undefined>;

/** A promise of `send`: it waits until its message is on its way. */
interface Waiting {
  resolve(): void;
  reject(error: SseError): void;
}

// A source that always has more, for a client that is always ready, must not block the event loop.
const SLICE_MS = 4;

const streams = new WeakMap<SseResponse, SseStream>();

/** The stream of a response, if it has one. */
export function streamOf(response: SseResponse): SseStream | undefined {
  return streams.get(response);
}

/**
 * The stream of one request: messages that its handler sends go to the client of this request alone, in order, after
 * `first` and among the messages for its keys.
 *
 * A handler may send at once: messages wait until the client has joined.
 */
export class SseStream {
  readonly #maxUnsentBytes: number;
  readonly #logger: Pick<SseLogger, 'error'>;
  /** The connection, once it is open and its first frames are out. */
  #connection: Connection | undefined;
  /** The messages that were sent before that. */
  #early: (Waiting & { readonly frame: Buffer })[] = [];
  /** Promises of messages that are written but wait for the client to read. */
  #undrained: Waiting[] = [];
  #unsentBytes = 0;
  /** Why nothing can be sent any more; undefined until the stream is over. */
  #over: { readonly reason: CloseReason; readonly error: SseError } | undefined;
  /** Ends the connection as its handler has decided, perhaps before it is open. */
  #end: ((connection: Connection) => void) | undefined;
  /** To be called when the stream is over. */
  readonly #listeners = new Set<() => void>();
  // Both are made on demand: a promise would keep the context in which it is made in memory.
  #controller: AbortController | undefined;
  #closed: Promise<CloseReason> | undefined;
  #hasLogged = false;

  private constructor(options: { maxUnsentBytes: number; logger: Pick<SseLogger, 'error'> }) {
    this.#maxUnsentBytes = options.maxUnsentBytes;
    this.#logger = options.logger;
  }

  /** @internal Throws when `first` is a message that cannot be sent. */
  static of(
    response: SseResponse,
    join: Join,
    options: { first: SseMessage | First | undefined; maxUnsentBytes: number; logger: Pick<SseLogger, 'error'> },
  ): SseStream {
    const load = toLoader(options.first);
    const stream = new SseStream(options);
    streams.set(response, stream);
    void stream.#open(join, load);
    return stream;
  }

  /** @internal A stream that is over, for a request without a client. */
  static none(): SseStream {
    const stream = new SseStream({ maxUnsentBytes: 0, logger: { error: () => undefined } });
    stream.#leave('client');
    return stream;
  }

  /**
   * Sends a message, in any form that `publish` accepts, to this client. Resolves when it is on its way and the client
   * can receive more: a handler that awaits it goes at the client's pace.
   *
   * Rejects with an `SseError`, nothing sent: for a message that cannot be sent; with `ERR_SSE_UNSENT` when more than
   * `maxUnsentBytes` wait for the client, because earlier calls were not awaited; once the stream is over, with
   * `ERR_SSE_CLOSED` or the refusal of the client. A rejection that is not awaited is never an unhandledRejection; the
   * first one before the end of the stream is logged.
   */
  send(message: SseMessage): Promise<void> {
    return LoggedPromise.of(this.#send(message), (error) => {
      // A client that has left is no failure, and one line is enough for all messages that are too many for a slow one.
      if (error === this.#over?.error || this.#hasLogged) return;
      this.#hasLogged = true;
      this.#logger.error(new Error('a message was not sent, and nobody awaited it', { cause: error }));
    });
  }

  /**
   * Sends all messages of a source: any iterable, a generator, a Node or web stream, or a promise of one; of messages,
   * or of text. The next message is pulled when the client can receive it. The stream ends with the source, unless
   * `end` is false.
   *
   * Resolves at the end of either, and never rejects. When the source fails, that is logged, and the client gets
   * `sse:error`, then the end. When the stream is over first, the source is told to stop at once (`return()`,
   * `destroy()`, `cancel()`), and not waited for: a source that itself waits for something should listen to `signal`.
   */
  async pipe(source: SseSource | PromiseLike<SseSource>, { end = true }: PipeOptions = {}): Promise<void> {
    const pulled = new Source(source);
    if (this.#over !== undefined) {
      pulled.stop();
      return;
    }
    let stop = (): void => undefined;
    const over = new Promise<void>((resolve) => {
      stop = () => {
        pulled.stop();
        resolve();
      };
    });
    this.#listeners.add(stop);
    await Promise.race([over, this.#sendAll(pulled, end)]);
    this.#listeners.delete(stop);
  }

  /** Ends the stream, after all that was sent. A client with keys is told `sse:bye`, any other nothing more. */
  close(): void {
    this.#endBy('closed', (connection) => {
      connection.end('closed', connection.isPrivate ? undefined : encodeOwn('bye', { reason: 'closed' }));
    });
  }

  /**
   * Ends the stream with `sse:error`, after all that was sent. It has the error's text if that is an `SseError` or says
   * `expose`, as that of `ctx.throw(404, text)` does; the text of any other error is not told. Logs nothing.
   */
  fail(error: unknown): void {
    const told = toTold(error);
    this.#endBy('failed', (connection) => {
      connection.end('failed', encodeOwn('error', { ...told, ...connection.asError(told) }));
    });
  }

  /** A signal that is aborted when the stream is over, however it ended. Its reason is the `SseError` of `send`. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#over !== undefined) this.#controller.abort(this.#over.error);
    }
    return this.#controller.signal;
  }

  /** Resolves when the stream is over, with the same reason as the event `close` gives. */
  get closed(): Promise<CloseReason> {
    this.#closed ??= new Promise((resolve) => {
      if (this.#over !== undefined) resolve(this.#over.reason);
      else this.#listeners.add(() => resolve(this.#over!.reason));
    });
    return this.#closed;
  }

  /** @internal Whether an error is only about this stream being over. */
  isOverBy(error: unknown): boolean {
    let cause = error;
    for (let depth = 0; depth < 5 && cause instanceof Error; depth++, cause = cause.cause) {
      if (cause === this.#over?.error) return true;
    }
    return false;
  }

  async #open(join: Join, load: (resumed: boolean) => Promise<EncodedEvent | undefined>): Promise<void> {
    let joined: Joined | undefined;
    try {
      joined = await join({ onDrain: () => this.#onDrain(), onEnd: (reason) => this.#leave(reason) });
    } catch (error) {
      this.#leave('refused', error as SseError);
      return;
    }
    if (joined === undefined) {
      this.#leave('client');
      return;
    }
    const { connection, resumed, greet } = joined;
    try {
      greet(await load(resumed));
    } catch (error) {
      this.#connection = connection;
      this.#failBy(error);
      this.#end?.(connection);
      return;
    }
    this.#connection = connection;
    const early = this.#early;
    this.#early = [];
    this.#unsentBytes = 0;
    for (const { frame, resolve, reject } of early) this.#write(connection, frame).then(resolve, reject);
    this.#end?.(connection);
  }

  async #send(message: SseMessage): Promise<void> {
    if (this.#over !== undefined) throw this.#over.error;
    const { body, id } = encode(message);
    const frame = toFrame(body, id);
    if (this.#unsentBytes > 0 && this.#unsentBytes + frame.length > this.#maxUnsentBytes) {
      throw new SseError(
        'ERR_SSE_UNSENT',
        `${this.#unsentBytes} bytes wait for the client, and maxUnsentBytes is ${this.#maxUnsentBytes}; await each send(), or use pipe()`,
      );
    }
    if (this.#connection !== undefined) return this.#write(this.#connection, frame);
    this.#unsentBytes += frame.length;
    return new Promise((resolve, reject) => this.#early.push({ frame, resolve, reject }));
  }

  async #write(connection: Connection, frame: Buffer): Promise<void> {
    connection.write(frame, performance.now());
    if (connection.writable) return;
    this.#unsentBytes += frame.length;
    await new Promise<void>((resolve, reject) => this.#undrained.push({ resolve, reject }));
  }

  #onDrain(): void {
    this.#unsentBytes = 0;
    const drained = this.#undrained;
    this.#undrained = [];
    if (drained.length === 0) return;
    // Not in this turn: a source that always has more would leave no room for the messages of the stream's keys.
    setImmediate(() => {
      for (const { resolve } of drained) resolve();
    });
  }

  async #sendAll(source: Source, end: boolean): Promise<void> {
    let since = performance.now();
    try {
      for (;;) {
        const { done, value } = await source.next();
        if (this.#over !== undefined) return;
        if (done) break;
        await this.#send(value as SseMessage);
        if (performance.now() - since < SLICE_MS) continue;
        await nextTurn();
        since = performance.now();
      }
    } catch (error) {
      // The client is gone, and most likely the source failed because it was told to stop.
      if (this.#over !== undefined) return;
      source.stop();
      this.#failBy(error);
      return;
    }
    if (end) this.close();
  }

  #failBy(error: unknown): void {
    if (this.#over === undefined) this.#logger.error(new Error('the source of a stream failed', { cause: error }));
    this.fail(error);
  }

  /** Ends the stream for its handler, as soon as it is open. */
  #endBy(reason: CloseReason, end: (connection: Connection) => void): void {
    if (this.#over !== undefined) return;
    this.#end = end;
    this.#tell(reason);
    if (this.#connection !== undefined) end(this.#connection);
  }

  /** Notes that the connection is over, or that there will be none. */
  #leave(reason: CloseReason, error?: SseError): void {
    this.#tell(reason, error);
    const [early, undrained] = [this.#early, this.#undrained];
    this.#early = [];
    this.#undrained = [];
    for (const { reject } of early) reject(this.#over!.error);
    for (const { resolve, reject } of undrained) {
      // Messages that were written before the handler ended the stream are on their way.
      if (this.#end !== undefined) resolve();
      else reject(this.#over!.error);
    }
  }

  #tell(
    reason: CloseReason,
    error = new SseError('ERR_SSE_CLOSED', `the stream is over (${reason}): nothing more can be sent`),
  ): void {
    if (this.#over !== undefined) return;
    this.#over = { reason, error };
    this.#controller?.abort(error);
    for (const listener of this.#listeners) listener();
    this.#listeners.clear();
  }
}

/** A function that loads the first message. Throws at once when that is a message that cannot be sent. */
function toLoader(first: SseMessage | First | undefined): (resumed: boolean) => Promise<EncodedEvent | undefined> {
  if (typeof first === 'function') {
    return async (resumed) => {
      const message = await first({ resumed });
      return message === undefined ? undefined : encode(message);
    };
  }
  const message = first === undefined ? undefined : encode(first);
  return async () => message;
}
