import { constants, deflateRawSync } from 'node:zlib';

/** How far back deflate refers (RFC 1951, 2). */
export const WINDOW_BYTES = 32 * 1024;

// To refer further back costs more than it spares, unless messages are large: each block begins by reading all of it.
const WINDOW_MESSAGES = 8;
const SMALL_WINDOW_BYTES = 16 * 1024;

const NO_BYTES = Buffer.alloc(0);

/** What a client has heard last, as far as those it shares with are concerned: which of their blocks, if any. */
export interface Inflater {
  heard: number;
}

/** Of a client that has heard something that nobody else has. */
export const NOTHING_SHARED = -1;

interface Block {
  readonly plain: Buffer;
  readonly bytes: Buffer;
  /** Who can read it: those who heard the block of this number last. Undefined: everyone, since it refers to nothing. */
  readonly after: number | undefined;
  readonly number: number;
}

/**
 * One deflate stream for many clients that hear the same: each block is made once, and refers back to what all of them
 * have heard.
 *
 * A client that has heard something else meanwhile, or has just come, gets blocks that refer to nothing; so does
 * everybody for the next one, and from then on it shares again.
 */
export class SharedDeflate {
  readonly #level: number;
  readonly #limit: () => number;
  #newest = 0;
  /** What was shared since someone joined last, as far back as deflate refers. */
  #window = NO_BYTES;
  #startsAnew = true;
  #last: Block | undefined;
  #alone: { readonly plain: Buffer; readonly bytes: Buffer } | undefined;

  /** `windowBytes` says how much may be kept to refer back to, at the time. Left out: as much as deflate can use. */
  constructor(level: number, windowBytes: () => number = () => WINDOW_BYTES) {
    this.#level = level;
    this.#limit = windowBytes;
  }

  /** Bytes that are kept to refer back to. */
  get windowBytes(): number {
    return this.#window.length;
  }

  /**
   * The block that says `plain` to a client. `isNewest`: nothing newer is there for it, so that others are likely to hear
   * the same.
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

  /** The block that says `plain` to one client only. */
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
    // A part would keep the whole.
    this.#window = excess > 0 ? Buffer.from(both.subarray(excess)) : both;
  }
}

/** What begins the answer to each client (RFC 1952, 2.3): deflate, no name, no time, system unknown. */
export const GZIP_HEADER: Buffer = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
