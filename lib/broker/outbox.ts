import type { Position } from '../order/cursor';
import { SseError } from '../base/error';

/** A draft with its publisher's number. The publisher's name and the number are the nonce of the message. */
export interface Numbered<Draft> {
  readonly number: number;
  readonly draft: Draft;
}

interface Pending<Draft> {
  readonly draft: Draft;
  readonly bytes: number;
  readonly expiresAt: number;
  resolve(position: Position): void;
  reject(error: SseError): void;
}

// The most that publishers may have waiting when they outrun the order, or publish while there is none.
const MAX_BYTES = 32 * 1024 * 1024;
// The memory of a waiting draft besides its text.
const DRAFT_BYTES = 512;

/** The drafts of this process that have no place in the order yet: bounded in bytes and in time. */
export class Outbox<Draft extends { readonly body: string }> {
  readonly #patience: number;
  readonly #why: string;
  readonly #pending = new Map<number, Pending<Draft>>();
  #bytes = 0;
  #number = 0;
  #closed = false;
  #onEmpty: (() => void) | undefined;

  /** A draft that waits longer than `patience` ms fails; its error begins with `why`. */
  constructor(patience: number, why: string) {
    this.#patience = patience;
    this.#why = why;
  }

  get isEmpty(): boolean {
    return this.#pending.size === 0;
  }

  /**
   * Adds a draft; `promise` resolves with its place.
   *
   * Throws `SseError` `ERR_SSE_OUTBOX_FULL` when too much waits, `ERR_SSE_STOPPED` once it is closed.
   */
  add(draft: Draft): Numbered<Draft> & { promise: Promise<Position> } {
    if (this.#closed) throw stopped();
    const bytes = DRAFT_BYTES + draft.body.length;
    if (this.#bytes + bytes > MAX_BYTES && this.#pending.size > 0) {
      throw new SseError(
        'ERR_SSE_OUTBOX_FULL',
        `${this.#pending.size} messages wait for their place in the order, ${this.#bytes} bytes of at most ${MAX_BYTES}; await each publish, or publish less`,
        { status: 503 },
      );
    }
    const number = ++this.#number;
    const expiresAt = performance.now() + this.#patience;
    const promise = new Promise<Position>((resolve, reject) => {
      this.#pending.set(number, { draft, bytes, expiresAt, resolve, reject });
    });
    this.#bytes += bytes;
    return { number, draft, promise };
  }

  /** The drafts that wait, oldest first, after a number. */
  *after(number = 0): Generator<Numbered<Draft>> {
    for (const [each, { draft }] of this.#pending) if (each > number) yield { number: each, draft };
  }

  /** Says that a draft has its place. */
  place(number: number, position: Position): void {
    this.#remove(number)?.resolve(position);
  }

  /** Fails the drafts that have waited for too long. */
  expire(): void {
    const now = performance.now();
    for (const [number, { expiresAt }] of this.#pending) {
      // Drafts stand in the order they came and all wait equally long: the rest are younger.
      if (expiresAt > now) break;
      this.#remove(number)!.reject(
        new SseError(
          'ERR_SSE_UNAVAILABLE',
          `${this.#why} in ${this.#patience} ms; it may still be sent: publish it again if it may come twice`,
          { status: 503 },
        ),
      );
    }
  }

  /** Resolves when no draft waits, or after so many ms. */
  drain(ms: number): Promise<void> {
    if (this.isEmpty) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#onEmpty = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Fails the drafts that wait, and accepts no more. */
  close(): void {
    this.#closed = true;
    for (const number of this.#pending.keys()) this.#remove(number)!.reject(stopped());
  }

  #remove(number: number): Pending<Draft> | undefined {
    const pending = this.#pending.get(number);
    if (pending === undefined) return undefined;
    this.#pending.delete(number);
    this.#bytes -= pending.bytes;
    if (this.#pending.size === 0) this.#onEmpty?.();
    return pending;
  }
}

function stopped(): SseError {
  return new SseError('ERR_SSE_STOPPED', 'this process is going; the message may or may not be sent', { status: 503 });
}
