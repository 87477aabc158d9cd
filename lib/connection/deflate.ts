import { constants, deflateRawSync } from 'node:zlib';

/** How far back a block may refer (RFC 1951, 2). */
export const WINDOW_BYTES = 32 * 1024;

// A larger window costs more than it saves, unless messages are large: each block begins with reading all of it.
const WINDOW_MESSAGES = 8;
const SMALL_WINDOW_BYTES = 16 * 1024;

const NO_BYTES = Buffer.alloc(0);

/** The receiving end of a client: the number of the shared block that it received last, or `NOTHING_SHARED`. */
export interface Inflater {
  heard: number;
}

/** The `heard` of a client that received something else last than a shared block. */
export const NOTHING_SHARED = -1;

/** The header of a gzip stream (RFC 1952, 2.3): deflate, no name, no time, system unknown. */
export const GZIP_HEADER: Buffer = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);

interface Block {
  readonly plain: Buffer;
  readonly bytes: Buffer;
  /** The block that a client must have received last, by its number; undefined: any, as this one refers to nothing. */
  readonly after: number | undefined;
  readonly number: number;
}

/**
 * One deflate stream (RFC 1951) for many clients that receive the same: each block is made once, and refers back to
 * blocks that all of them have received.
 *
 * A client that has received something else meanwhile, or has just come, gets a block that refers to nothing. So do all
 * clients with the next block, and from then on that client shares again.
 */
export class SharedDeflate {
  readonly #level: number;
  readonly #limit: () => number;
  #newest = 0;
  /** The bytes that were shared since the stream started anew, as far back as a block may refer. */
  #window = NO_BYTES;
  #startsAnew = true;
  #last: Block | undefined;
  #alone: { readonly plain: Buffer; readonly bytes: Buffer } | undefined;

  /** `windowBytes`: how large the window may be, now. Left out: as large as deflate can use. */
  constructor(level: number, windowBytes: () => number = () => WINDOW_BYTES) {
    this.#level = level;
    this.#limit = windowBytes;
  }

  /** Bytes of the window. */
  get windowBytes(): number {
    return this.#window.length;
  }

  /**
   * The block of `plain` for a client. `isNewest`: nothing newer is there for it, so that other clients are likely to
   * get the same.
   */
  compress(plain: Buffer, client: Inflater, isNewest: boolean): Buffer {
    const last = this.#last;
    if (last?.plain === plain && (last.after === undefined || last.after === client.heard)) {
      client.heard = last.number;
      return last.bytes;
    }
    const isInStep = client.heard === this.#newest && !this.#startsAnew;
    if (!isInStep && !(this.#startsAnew && isNewest)) return this.compressAlone(plain, client);
    if (this.#startsAnew) this.#window = NO_BYTES;
    const bytes = this.#deflate(plain, this.#window);
    const after = this.#startsAnew ? undefined : this.#newest;
    this.#startsAnew = false;
    this.#last = { plain, bytes, after, number: ++this.#newest };
    this.#remember(plain);
    client.heard = this.#newest;
    return bytes;
  }

  /** The block of `plain` for one client only. */
  compressAlone(plain: Buffer, client: Inflater): Buffer {
    if (this.#alone?.plain !== plain) this.#alone = { plain, bytes: this.#deflate(plain) };
    client.heard = NOTHING_SHARED;
    this.#startsAnew = true;
    return this.#alone.bytes;
  }

  #deflate(plain: Buffer, dictionary: Buffer = NO_BYTES): Buffer {
    return deflateRawSync(plain, {
      level: this.#level,
      finishFlush: constants.Z_SYNC_FLUSH,
      // zlib refuses an empty one.
      ...(dictionary.length > 0 ? { dictionary } : {}),
    });
  }

  #remember(plain: Buffer): void {
    const both = Buffer.concat([this.#window, plain]);
    const useful = Math.max(SMALL_WINDOW_BYTES, WINDOW_MESSAGES * plain.length);
    const excess = both.length - Math.min(useful, this.#limit());
    // A subarray would keep all of its buffer in memory.
    this.#window = excess > 0 ? Buffer.from(both.subarray(excess)) : both;
  }
}
