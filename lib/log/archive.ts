import { Chain } from './chain';
import type { Entry } from './entry';
import type { Tail } from './tail';

/** How long and how much is kept: ms, messages per key, bytes in all. */
export interface KeepBounds {
  readonly age: number;
  readonly count: number;
  readonly bytes: number;
}

/** What is kept longer than the history keeps it: the messages of mailboxes, or those of runs. */
export class Keep {
  readonly bounds: KeepBounds;
  /** What waits for its time to be over, or for someone to take it, oldest first; of the history or held. */
  readonly waiting = new Set<Entry>();
  /** What has left the history. */
  readonly held = new Chain<Entry>();
  heldBytes = 0;
  /** Keys with more than `count` messages waiting. */
  readonly full = new Set<Tail>();

  constructor(bounds: KeepBounds) {
    this.bounds = bounds;
  }
}
