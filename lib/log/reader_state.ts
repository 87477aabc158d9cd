import type { Gap } from './gaps';
import type { Throttle } from './throttle';

/** Someone who reads the log: which keys, and how far they have come. `read` moves them on. */
export interface Reader {
  keys: readonly string[];
  /** The offset up to which they have everything. */
  position: number;
  /** The offset from which they are live: what has no place in the order is theirs only after it. */
  liveFrom: number;
  /** False as long as their place in the order cannot be told: only what has no place in it is theirs. */
  seated: boolean;
  /** The offset after which they began to read. */
  from: number;
  /** By key, the same for those that they did not hold from the start. */
  starts: Map<string, number> | undefined;
  /** By key, the offset from which on it is theirs, for those that they did not hold before; undefined once past it. */
  since: Map<string, number> | undefined;
  /** By key, the offset up to which they were told what is lost; undefined once they are past all of it. */
  told: Map<string, number> | undefined;
  /** By mailbox, the offset up to which only what waits in it is theirs; undefined once past it. */
  mail: Map<string, number> | undefined;
  /** Where they are with everything but mail from before they came; undefined once past it. */
  floor: { readonly offset: number; readonly cursor: string } | undefined;
  /** Holds back what comes too often; undefined when none of their keys is throttled. */
  throttle: Throttle | undefined;
  /** Whether each message says for which of their keys it is; readers that differ in that do not share a `keys`. */
  showsKeys: boolean;
  /** Whether they read one run alone, up to its end, which goes without saying; nobody else shares their `keys`. */
  isOfRun: boolean;
}

/** What `read` found: frames in order, after the gaps that come before them. */
export interface Batch {
  readonly frames: Buffer | undefined;
  readonly count: number;
  readonly gaps: readonly Gap[];
  /** The cursor of the place just after the gaps; without gaps undefined. */
  readonly resumeAt: string | undefined;
  /** Whether more is there than fitted. */
  readonly more: boolean;
  /** Whether the run that the reader reads alone ends with it. */
  readonly isEnd: boolean;
}

/** Whether a reader was given a message that is theirs. */
export function hasTaken(
  { position, throttle }: Reader,
  message: { readonly offset: number; readonly keys: readonly string[] },
): boolean {
  return position >= message.offset && throttle?.hasSent(message) !== false;
}
