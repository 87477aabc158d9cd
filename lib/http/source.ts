import type { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { TextDecoder } from 'node:util';
import { SseError, show } from '../base/error';
import type { SseMessage } from '../message/message';

/**
 * A source of messages for a stream: any iterable, a generator, a Node or web stream; of messages, or of text, which
 * may come as bytes in UTF-8.
 */
export type SseSource =
  | AsyncIterable<SseMessage | Uint8Array>
  | Iterable<SseMessage | Uint8Array>
  | ReadableStream<SseMessage | Uint8Array>
  | Readable;

/** The pulling end of a source. */
interface Pull {
  next(): unknown;
  /** Tells the source that no more is wanted. */
  stop(): unknown;
}

/** Pulls messages out of a source, one at a time, and tells it to stop when no more is wanted. */
export class Source {
  readonly #started: Promise<Pull>;
  #pull: Pull | undefined;
  #decoder: TextDecoder | undefined;
  #stopped = false;

  /** `source` may be a promise. A value that is no source makes `next` reject. */
  constructor(source: unknown) {
    this.#started = this.#start(source);
    // A stream that ends first never calls `next`, and then a failure must not be an unhandledRejection.
    this.#started.catch(() => undefined);
  }

  /** The next message. Rejects with the source's own error, or with `ERR_SSE_SOURCE` when the value is no source. */
  async next(): Promise<{ readonly done: boolean; readonly value: unknown }> {
    const pull = await this.#started;
    for (;;) {
      const { value, done = false } = (await pull.next()) as { value: unknown; done?: boolean };
      if (!done && !(value instanceof Uint8Array)) return { done, value };
      // Bytes may end within a character: the rest of it comes with the next ones, or is missing at the end.
      const text = done ? this.#decoder?.decode() : this.#decode(value as Uint8Array);
      if (text !== undefined && text !== '') return { done: false, value: text };
      if (done) return { done, value: undefined };
    }
  }

  /** Tells the source to stop, once and at once, without waiting for it. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    if (this.#pull !== undefined) void stop(this.#pull);
  }

  async #start(source: unknown): Promise<Pull> {
    this.#pull = toPull(isPromise(source) ? await source : source);
    if (this.#stopped) void stop(this.#pull);
    return this.#pull;
  }

  #decode(bytes: Uint8Array): string {
    this.#decoder ??= new TextDecoder();
    return this.#decoder.decode(bytes, { stream: true });
  }
}

function toPull(source: unknown): Pull {
  const given = source as Partial<Readable & ReadableStream & AsyncIterable<unknown> & Iterable<unknown>> | null;
  if (typeof source === 'object' && given !== null) {
    if (typeof given.getReader === 'function') {
      const reader = given.getReader();
      return { next: () => reader.read(), stop: () => reader.cancel() };
    }
    const iterator = given[Symbol.asyncIterator]?.() ?? given[Symbol.iterator]?.();
    if (iterator !== undefined) {
      const { destroy } = given;
      // `return` reaches a generator only after its present `await`; `destroy` ends a Node stream at once.
      const stop = typeof destroy === 'function' ? () => destroy.call(given) : () => iterator.return?.();
      return { next: () => iterator.next(), stop };
    }
  }
  throw new SseError(
    'ERR_SSE_SOURCE',
    `the source is ${show(source)}; it must be an iterable, a generator or a readable stream of messages`,
  );
}

async function stop(pull: Pull): Promise<void> {
  try {
    await pull.stop();
  } catch {
    // The stream is over, so that the failure concerns no client any more.
  }
}

function isPromise(source: unknown): source is PromiseLike<unknown> {
  return typeof (source as Partial<PromiseLike<unknown>> | null | undefined)?.then === 'function';
}
