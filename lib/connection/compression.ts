import { covers } from '../message/keys';
import type { SseCompression } from '../options/options';
import { SharedDeflate, WINDOW_BYTES } from './deflate';

// Bytes of the windows of all key sets together.
const WINDOWS_BYTES = 8 * 1024 * 1024;

// Stored blocks (RFC 1951, 3.2.4): their length tells nothing of a secret.
const STORED = 0;

/** Decides which streams are compressed, and makes the deflate stream that holders of the same keys share. */
export class Compression {
  readonly #options: SseCompression;
  #sharers = 0;

  constructor(options: SseCompression) {
    this.#options = options;
  }

  /** Whether the stream of a holder of some keys may be compressed: none of the keys is in `compression.except`. */
  suits(keys: readonly string[]): boolean {
    return !this.#isSecret(keys);
  }

  /** The deflate stream that the holders of some keys share, until `release`. */
  share(keys: readonly string[]): SharedDeflate {
    this.#sharers++;
    // A stream that is compressed already may come to hold a secret later.
    return new SharedDeflate(this.#isSecret(keys) ? STORED : this.#options.level, () =>
      Math.min(WINDOW_BYTES, Math.floor(WINDOWS_BYTES / this.#sharers)),
    );
  }

  /** Says that a shared deflate stream is not used any more. */
  release(): void {
    this.#sharers--;
  }

  #isSecret(keys: readonly string[]): boolean {
    return keys.some((key) => this.#options.except.some((pattern) => covers(pattern, key)));
  }
}
