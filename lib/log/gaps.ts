import { encodeOwn } from '../message/frame';
import type { LossReason } from '../order/broker';

/** Messages that were not kept. */
export interface Gap {
  /** `unknown`: the client's id is not known; `restarted`: it is of an order that has ended. */
  readonly reason: LossReason | 'unknown' | 'restarted';
  readonly keys: readonly string[];
}

/**
 * The `sse:gap` frames that tell a client of its gaps.
 *
 * Only the last one moves its place on: a client that drops before that hears of all of them again.
 */
export function toFrames(gaps: readonly Gap[], cursor: string | undefined): Buffer[] {
  return gaps.map((gap, i) => encodeOwn('gap', gap, i === gaps.length - 1 ? { id: cursor } : {}));
}

/** A client's gaps as they are found, one for each reason. */
export class Gaps {
  readonly #keys = new Map<Gap['reason'], string[]>();

  add(reason: Gap['reason'], key: string): void {
    const keys = this.#keys.get(reason);
    if (keys === undefined) this.#keys.set(reason, [key]);
    else keys.push(key);
  }

  get all(): readonly Gap[] {
    return this.#keys.size === 0 ? NO_GAPS : [...this.#keys].map(([reason, keys]) => ({ reason, keys }));
  }
}

/** No gaps: nothing is lost. */
export const NO_GAPS: readonly Gap[] = [];
