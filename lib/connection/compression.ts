import { SharedDeflate, WINDOW_BYTES } from './deflate';
import { covers } from '../message/keys';
import type { SseCompression } from '../options/options';

// What all key sets together may keep to refer back to.
const WINDOWS_BYTES = 8 * 1024 * 1024;

// Stored blocks: of what they say, their length tells nothing (RFC 1951, 3.2.4).
const STORED = 0;

/** Who is sent gzip, and what those who hold the same keys share to make it. */
export class Compression {
  readonly #options: SseCompression;
  #sharers = 0;

  constructor(options: SseCompression) {
    this.#options = options;
  }

  /** Whether what the holders of some keys are sent may be compressed: none of the keys is excepted. */
  suits(keys: readonly string[]): boolean {
    return !this.#isSecret(keys);
  }

  /** What the holders of some keys share, until `release`. */
  share(keys: readonly string[]): SharedDeflate {
    this.#sharers++;
    // A stream that is compressed already may come to hold a secret later.
    return new SharedDeflate(this.#isSecret(keys) ? STORED : this.#options.level, () =>
      Math.min(WINDOW_BYTES, Math.floor(WINDOWS_BYTES / this.#sharers)),
    );
  }

  /** Says that nobody holds those keys any more. */
  release(): void {
    this.#sharers--;
  }

  #isSecret(keys: readonly string[]): boolean {
    return keys.some((key) => this.#options.except.some((pattern) => covers(pattern, key)));
  }
}
