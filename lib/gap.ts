import { encodeOwn } from './event';
import type { Gap } from './log';

/**
 * The `sse:gap` frames that tell a client of its gaps.
 *
 * Only the last one moves its place on: a client that drops before that hears of all of them again.
 */
export function toFrames(gaps: readonly Gap[], cursor: string | undefined): Buffer[] {
  return gaps.map((gap, i) => encodeOwn('gap', gap, i === gaps.length - 1 ? { id: cursor } : {}));
}
