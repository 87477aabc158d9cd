import type { Draft, RunPart } from '../order/broker';
import type { Position } from '../order/cursor';
import { Delta } from '../message/delta';
import { SseError, show } from '../base/error';
import type { EncodedEvent } from '../message/frame';
import { encode, type SseEvent } from '../message/message';

/**
 * Produces a run: a string is the next piece of its text, an object an event of its own. `signal` is aborted when the run
 * has ended before its producer: it was stopped, or given up.
 */
export type SseProducer = (
  signal: AbortSignal,
) => AsyncIterable<string | SseEvent> | Promise<AsyncIterable<string | SseEvent>>;

// So many messages of a run, or bytes, may be on their way to their place in the order. Meanwhile pieces of its text
// gather, to be one message, up to so many characters: then its producer has to wait.
const MAX_UNORDERED = 64;
const MAX_UNORDERED_LENGTH = 1024 * 1024;
const MAX_GATHERED_LENGTH = 32 * 1024;

const START: EncodedEvent = { body: '' };

/** One run, where it is produced: what it yields gets its place in the order, one after the other. */
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
  /** Goes on when something has changed. */
  #wake: () => void = () => undefined;

  constructor(key: string, order: (draft: Draft) => Promise<Position>) {
    this.key = key;
    this.#order = order;
  }

  /** Publishes a part of the run; resolves with its place. */
  publish(run: RunPart, event: EncodedEvent = START): Promise<Position> {
    return this.#order({ keys: [this.key], ...event, run });
  }

  /** Says that the run has ended: whatever else it yields is nobody's. */
  abort(): void {
    this.#aborting.abort();
    this.#wake();
  }

  /** Publishes all that the producer yields. Resolves when it is done or aborted; rejects with what it throws. */
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
        await this.#take(next.value);
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

  async #take(value: unknown): Promise<void> {
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

  /** Publishes the pieces that wait, as one. */
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

  /** Resolves when a condition holds or the run is aborted; rejects when something of it could not be published. */
  async #until(condition: () => boolean): Promise<void> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.error;
      if (this.#aborting.signal.aborted || condition()) return;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** What an act comes to; undefined when the run is aborted before. Rejects as `#until` does, too. */
  async #untilAborted<T>(act: () => Promise<T>): Promise<T | undefined> {
    const promise = act();
    let settled: Promise<T> | undefined;
    const onSettled = (): void => {
      settled = promise;
      this.#wake();
    };
    promise.then(onSettled, onSettled);
    await this.#until(() => settled !== undefined);
    return settled;
  }
}

/** Throws `SseError` `ERR_SSE_RUN_PRODUCER` for what cannot be one. */
export function checkProducer(produce: unknown): void {
  if (typeof produce !== 'function') throw noProducer(`the producer of a run is ${show(produce)}`);
}

function iteratorOf(produced: unknown): AsyncIterator<unknown> {
  const iterate = (produced as Partial<AsyncIterable<unknown>> | undefined)?.[Symbol.asyncIterator];
  if (typeof iterate !== 'function') throw noProducer(`the producer of a run returned ${show(produced)}`);
  return iterate.call(produced);
}

/** Lets a producer clean up. One that waits for something else hears of it when that comes; nobody waits for it. */
function leave(iterator: AsyncIterator<unknown> | undefined): void {
  const act = async (): Promise<unknown> => iterator?.return?.();
  // The run is over: what goes wrong now is nobody's.
  act().catch(() => undefined);
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
