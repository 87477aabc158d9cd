import type { Position } from '../order/cursor';
import { SseError } from '../base/error';

/** A draft with its publisher's number; the publisher's name and the number are its nonce. */
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

// Publishers that outrun whoever orders, or publish while it is away.
const MAX_BYTES = 32 * 1024 * 1024;
// What a waiting draft costs besides its text.
const DRAFT_BYTES = 512;

/** What this process has published and not yet heard back in the order: bounded in bytes and in time. */
export class Outbox<Draft extends { readonly body: string }> {
  readonly #patience: number;
  readonly #why: string;
  readonly #pending = new Map<number, Pending<Draft>>();
  #bytes = 0;
  #number = 0;
  #closed = false;
  #onEmpty: (() => void) | undefined;

  /** A draft that waits longer than `patience` ms fails; `why` says, then, what did not happen. */
  constructor(patience: number, why: string) {
    this.#patience = patience;
    this.#why = why;
  }

  get isEmpty(): boolean {
    return this.#pending.size === 0;
  }

  /** Takes a draft; `promise` tells its place once it is settled. */
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

  /** What waits, oldest first, after a number. */
  *after(number = 0): Generator<Numbered<Draft>> {
    for (const [each, { draft }] of this.#pending) if (each > number) yield { number: each, draft };
  }

  /** Says that a draft has its place. */
  place(number: number, position: Position): void {
    this.#remove(number)?.resolve(position);
  }

  /** Fails what has waited for too long. */
  expire(): void {
    const now = performance.now();
    for (const [number, { expiresAt }] of this.#pending) {
      // They wait in the order they came, all for the same time.
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

  /** Resolves when nothing waits, or after so many ms. */
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

  /** Fails what waits, and takes nothing more. */
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
