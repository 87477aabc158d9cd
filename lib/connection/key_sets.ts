import type { ThrottledKeys, ThrottleRules } from '../log/throttle';
import type { Compression } from './compression';
import type { SharedDeflate } from './deflate';

/** The keys of streams that hold the same, as one array: by that they share the batches that they read. */
export interface KeySet {
  /** The same for the same keys, in whichever order. */
  readonly signature: string;
  readonly keys: readonly string[];
  readonly throttled: ThrottledKeys | undefined;
  /** The deflate stream of its holders that are sent gzip; undefined when there were none yet. */
  deflate: SharedDeflate | undefined;
  holders: number;
}

/** All sets of keys that streams hold, each once. */
export class KeySets {
  readonly #sets = new Map<string, KeySet>();
  readonly #throttles: ThrottleRules;
  readonly #compression: Compression | undefined;

  constructor(throttles: ThrottleRules, compression: Compression | undefined) {
    this.#throttles = throttles;
    this.#compression = compression;
  }

  /** Whether the stream of a holder of some keys may be compressed. */
  compresses(keys: readonly string[]): boolean {
    return this.#compression?.suits(keys) === true;
  }

  /** The set of some keys, until `release`. Streams that are told the keys of each message have sets of their own. */
  hold(keys: readonly string[], showsKeys: boolean): KeySet {
    const signature = signatureOf(keys, showsKeys);
    let set = this.#sets.get(signature);
    if (set === undefined) {
      set = { signature, keys, throttled: this.#throttles.of(keys), deflate: undefined, holders: 0 };
      this.#sets.set(signature, set);
    }
    set.holders++;
    return set;
  }

  release(set: KeySet): void {
    if (--set.holders > 0) return;
    this.#sets.delete(set.signature);
    if (set.deflate !== undefined) this.#compression!.release();
  }

  /** The deflate stream that the holders of a set share. */
  deflateOf(set: KeySet): SharedDeflate {
    set.deflate ??= this.#compression!.share(set.keys);
    return set.deflate;
  }
}

function signatureOf(keys: readonly string[], showsKeys: boolean): string {
  const sorted = [...keys].sort();
  return JSON.stringify(showsKeys ? { keys: sorted } : sorted);
}
