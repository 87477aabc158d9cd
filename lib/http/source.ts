import type { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { TextDecoder } from 'node:util';
import { SseError, show } from '../base/error';
import type { SseMessage } from '../message/message';

/**
 * What a stream can be fed from: any iterable, a generator, a Node or web stream; of messages, or of text, also as bytes
 * in UTF-8.
 */
export type SseSource =
  | AsyncIterable<SseMessage | Uint8Array>
  | Iterable<SseMessage | Uint8Array>
  | ReadableStream<SseMessage | Uint8Array>
  | Readable;

/** What is pulled from a source. */
interface Pull {
  next(): unknown;
  /** Tells the source that no more is wanted. */
  stop(): unknown;
}

/** Pulls messages out of a source, one at a time, and tells it to stop when no more is wanted. */
export class Source {
  readonly #opening: Promise<Pull>;
  #pull: Pull | undefined;
  #decoder: TextDecoder | undefined;
  #stopped = false;

  /** `source` may be a promise. That it is none at all is found out by `next`. */
  constructor(source: unknown) {
    this.#opening = this.#open(source);
    // `next` says so to whoever still wants to know.
    this.#opening.catch(() => undefined);
  }

  /** The next message. Rejects with what the source throws, and with `ERR_SSE_SOURCE` when it is none. */
  async next(): Promise<{ readonly done: boolean; readonly value: unknown }> {
    const pull = await this.#opening;
    for (;;) {
      const { value, done = false } = (await pull.next()) as { value: unknown; done?: boolean };
      if (!done && !(value instanceof Uint8Array)) return { done, value };
      // Bytes may end within a character, and the last of them with the source.
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

  async #open(source: unknown): Promise<Pull> {
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
      // A generator that waits for something is told only after that; what Node waits for can be ended.
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
    // Nobody wants to hear of it any more.
  }
}

function isPromise(source: unknown): source is PromiseLike<unknown> {
  return typeof (source as Partial<PromiseLike<unknown>> | null | undefined)?.then === 'function';
}
