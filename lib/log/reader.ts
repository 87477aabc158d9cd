import type { Gap } from './gaps';
import type { Throttle } from './throttle';

/**
 * Someone who reads the log: which keys, and how far they have come. `read` moves them on.
 *
 * All offsets of a reader are places in this process's log:
 *
 *     1 ─────────┬──────────────┬──────────────┬─────────────────┬──────────── head
 *                │              │              │                 │
 *             position        floor         liveFrom          since.get(key)
 *                │              │              │                 └ a key that was granted later: theirs from here on
 *                │              │              └ where they came in: what has no place in the order (reach `process`)
 *                │              │                is theirs only after it
 *                │              └ where they are with everything but mail and runs; before it only those are theirs,
 *                │                of mail what still waits (`mail`), each key from `since.get(key)` on
 *                └ they have all that is theirs up to here; `read` gives what comes after it
 *
 * A reader that came back without mail has no `floor`, `since` and `mail`, and most of the time position = head.
 * `told.get(key)`: losses up to there were told.
 */
export interface Reader {
  keys: readonly string[];
  /** The offset up to which they have everything. */
  position: number;
  /** The offset from which they are live: what has no place in the order is theirs only after it. */
  liveFrom: number;
  /** False as long as their place in the order cannot be told: only what has no place in it is theirs. */
  placed: boolean;
  /** By key, the offset from which on it is theirs, for those that they did not hold before; undefined once past it. */
  since: Map<string, number> | undefined;
  /** By key, the offset up to which they were told what is lost; undefined once they are past all of it. */
  told: Map<string, number> | undefined;
  /** By mailbox, the offset up to which only what waits in it is theirs; undefined once past it. */
  mail: Map<string, number> | undefined;
  /** Where they are with everything but mail and runs from before they came; undefined once past it. */
  floor: { readonly offset: number; readonly cursor: string } | undefined;
  /** Spares them what comes too often; undefined when none of their keys is throttled. */
  throttle: Throttle | undefined;
  /** Whether each message says for which of their keys it is; readers that differ in that do not share a `keys`. */
  showsKeys: boolean;
  /** Whether they read one run alone, up to its end, which goes without saying; nobody else shares their `keys`. */
  isOfRun: boolean;
}

/** What `read` found: frames in order, after the gaps that come before them. */
export interface Batch {
  readonly frames: Buffer | undefined;
  readonly gaps: readonly Gap[];
  /** The cursor of the place just after the gaps; without gaps undefined. */
  readonly resumeAt: string | undefined;
  /** Whether more is there than fitted. */
  readonly more: boolean;
  /** Whether the run that the reader reads alone ends with it. */
  readonly isEnd: boolean;
}

/** A reader, and the gaps that it must be told of first. */
export interface Beginning {
  readonly reader: Reader;
  readonly gaps: readonly Gap[];
}

/** Whether a reader was given a message that is theirs. */
export function hasTaken(
  { position, throttle }: Reader,
  message: { readonly offset: number; readonly keys: readonly string[] },
): boolean {
  return position >= message.offset && throttle?.hasSent(message) !== false;
}
