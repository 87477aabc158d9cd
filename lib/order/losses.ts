import type { LossReason } from '../log/tail';

/** What a log has lost: of some keys, and at most of all the others. */
export interface Losses {
  readonly keys: readonly { readonly key: string; readonly seq: number; readonly reason: LossReason }[];
  readonly others: { readonly seq: number; readonly reason: LossReason } | undefined;
}

/** Nothing is lost. */
export const NO_LOSSES: Losses = { keys: [], others: undefined };
