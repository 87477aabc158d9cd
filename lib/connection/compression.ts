import { weightsOf } from '../http/accept';
import { check, integer, isObject } from '../options/check';
import { SharedDeflate, WINDOW_BYTES } from './deflate';
import { covers, isPattern } from '../message/pattern';
import type { SseRequest } from './wire';

/** `config.sse.compression`: how streams are compressed, and which are not. */
export interface SseCompression {
  /** zlib's, 1 (fast) to 9 (small). */
  level: number;
  /** Keys, or beginnings of keys with a `*` behind, that hold secrets: whoever holds one is sent nothing compressed. */
  except: readonly string[];
}

// What all key sets together may keep to refer back to.
const WINDOWS_BYTES = 8 * 1024 * 1024;

// Stored blocks: of what they say, their length tells nothing (RFC 1951, 3.2.4).
const STORED = 0;

/** Whether a value can be `config.sse.compression`; its parts are checked by `checkCompression`. */
export function isCompression(value: unknown): string | undefined {
  return typeof value === 'boolean' || isObject(value) ? undefined : '{ level, except }, true or false';
}

/** Checks `config.sse.compression`, fills in what is left out, and returns a copy. Throws `ERR_SSE_CONFIG`. */
export function checkCompression(path: string, given: object | true): SseCompression {
  const whole = { level: 6, except: [], ...(given === true ? {} : given) };
  return check(path, whole, {
    level: integer(1, 9, 'of zlib: fast to small'),
    except: (value) =>
      Array.isArray(value) && value.every(isPattern)
        ? undefined
        : 'an array of keys, or of beginnings of keys with one "*" at the end',
  }) as unknown as SseCompression;
}

/** Who is sent gzip, and what those who hold the same keys share to make it. */
export class Compression {
  readonly #options: SseCompression;
  #sharers = 0;

  constructor(options: SseCompression) {
    this.#options = options;
  }

  /** Whether a client takes gzip and holds no key that is excepted. */
  suits(request: SseRequest, keys: readonly string[]): boolean {
    return acceptsGzip(request.headers['accept-encoding']) && !this.#isSecret(keys);
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

/** Whether an `Accept-Encoding` header asks for gzip (RFC 9110, 12.5.3). No header, or `*` alone, does not. */
export function acceptsGzip(header: string | readonly string[] | undefined): boolean {
  const weights = weightsOf(String(header ?? ''));
  return (weights.get('gzip') ?? weights.get('x-gzip') ?? 0) > 0;
}
