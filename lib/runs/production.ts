import { SseError, show } from '../base/error';
import { Delta } from '../message/delta';
import type { EncodedEvent } from '../message/frame';
import { encode, type SseEvent } from '../message/message';
import type { Draft, RunPart } from '../order/broker';
import type { Position } from '../order/cursor';

/**
 * Produces a run: a yielded string is the next piece of its text, an object is an event of its own. `signal` is aborted
 * when the run ends before its producer does: it was stopped, or is lost.
 */
export type SseProducer = (
  signal: AbortSignal,
) => AsyncIterable<string | SseEvent> | Promise<AsyncIterable<string | SseEvent>>;

// The most messages of a run, and characters, that may be on their way to their place in the order. Meanwhile pieces of
// its text gather, to be one message, up to so many characters: then its producer has to wait.
const MAX_UNORDERED = 64;
const MAX_UNORDERED_LENGTH = 1024 * 1024;
const MAX_GATHERED_LENGTH = 32 * 1024;

const START: EncodedEvent = { body: '' };

/** One run, where it is produced: its messages get their places in the order, one after the other. */
export class Production {
  readonly key: string;
  readonly #order: (draft: Draft) => Promise<Position>;
  readonly #aborting = new AbortController();
  readonly #delta = new Delta();
  /** Pieces that wait to be published. */
  #gathered = '';
  #unordered = 0;
  #unorderedLength = 0;
  #failure: { readonly error: unknown } | undefined;
  /** Lets `#until` look at its condition again. */
  #wake: () => void = () => undefined;

  constructor(key: string, order: (draft: Draft) => Promise<Position>) {
    this.key = key;
    this.#order = order;
  }

  /** Publishes a part of the run; resolves with its place. */
  publish(run: RunPart, event: EncodedEvent = START): Promise<Position> {
    return this.#order({ keys: [this.key], ...event, run });
  }

  /** Says that the run has ended: all that it yields from now on is dropped. */
  abort(): void {
    this.#aborting.abort();
    this.#wake();
  }

  /** Publishes all that a producer yields. Resolves when it is done or aborted; rejects with its error. */
  async follow(produce: SseProducer): Promise<void> {
    const { signal } = this.#aborting;
    let iterator: AsyncIterator<unknown> | undefined;
    try {
      const produced = await this.#untilAborted(async () => produce(signal));
      if (signal.aborted) return;
      iterator = iteratorOf(produced);
      for (;;) {
        const next = await this.#untilAborted(async () => iterator!.next());
        if (next === undefined || next.done === true) break;
        await this.#accept(next.value);
      }
      this.#gathered += this.#delta.rest();
      await this.#flush();
      await this.#until(() => this.#unordered === 0);
    } catch (error) {
      this.#aborting.abort(error);
      throw error;
    } finally {
      if (signal.aborted) leave(iterator);
    }
  }

  async #accept(value: unknown): Promise<void> {
    if (typeof value === 'string') {
      this.#gathered += this.#delta.next(value);
      if (this.#hasRoom || this.#gathered.length > MAX_GATHERED_LENGTH) await this.#flush();
      return;
    }
    const event = encodeYielded(value);
    this.#gathered += this.#delta.rest();
    await this.#flush();
    await this.#until(() => this.#hasRoom);
    this.#post({ is: 'event' }, event);
  }

  /** Publishes the gathered pieces as one message, when there is room. */
  async #flush(): Promise<void> {
    await this.#until(() => this.#hasRoom);
    this.#postGathered();
  }

  #postGathered(): void {
    if (this.#gathered === '') return;
    const event = encode(this.#gathered);
    this.#gathered = '';
    this.#post({ is: 'text' }, event);
  }

  #post(run: RunPart, event: EncodedEvent): void {
    if (this.#aborting.signal.aborted) return;
    this.#unordered++;
    this.#unorderedLength += event.body.length;
    const onOrdered = (): void => {
      this.#unordered--;
      this.#unorderedLength -= event.body.length;
      this.#postGathered();
      this.#wake();
    };
    const onFailed = (error: unknown): void => {
      this.#failure ??= { error };
      this.#wake();
    };
    this.publish(run, event).then(onOrdered, onFailed);
  }

  get #hasRoom(): boolean {
    return this.#unordered < MAX_UNORDERED && this.#unorderedLength < MAX_UNORDERED_LENGTH;
  }

  /** Resolves when a condition is true or the run is aborted; rejects when a message of it could not be published. */
  async #until(condition: () => boolean): Promise<void> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.error;
      if (this.#aborting.signal.aborted || condition()) return;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** The result of `call`; undefined when the run is aborted before. Rejects as `call` or `#until` does. */
  async #untilAborted<T>(call: () => Promise<T>): Promise<T | undefined> {
    const promise = call();
    let done: Promise<T> | undefined;
    const onDone = (): void => {
      done = promise;
      this.#wake();
    };
    promise.then(onDone, onDone);
    await this.#until(() => done !== undefined);
    return done;
  }
}

/** Throws `SseError` `ERR_SSE_RUN_PRODUCER` for a value that is no producer. */
export function checkProducer(produce: unknown): void {
  if (typeof produce !== 'function') throw noProducer(`the producer of a run is ${show(produce)}`);
}

function iteratorOf(produced: unknown): AsyncIterator<unknown> {
  const iterate = (produced as Partial<AsyncIterable<unknown>> | undefined)?.[Symbol.asyncIterator];
  if (typeof iterate !== 'function') throw noProducer(`the producer of a run returned ${show(produced)}`);
  return iterate.call(produced);
}

/** Lets a producer clean up. A generator does so only after its present `await`, so that it is not waited for. */
function leave(iterator: AsyncIterator<unknown> | undefined): void {
  const end = async (): Promise<unknown> => iterator?.return?.();
  // The run is over: a failure now has no effect on it.
  end().catch(() => undefined);
}

function noProducer(what: string): SseError {
  return new SseError(
    'ERR_SSE_RUN_PRODUCER',
    `${what}; it must be an async generator function, as in run(id, async function* (signal) { yield 'text'; })`,
  );
}

function encodeYielded(value: unknown): EncodedEvent {
  if (typeof value === 'object' && value !== null) return encode(value);
  throw new SseError(
    'ERR_SSE_MESSAGE',
    `a run yielded ${show(value)}; it must yield strings, or objects { data, event?, … }: to send a value as JSON, yield { data: value }`,
  );
}
