import { isAfter } from './tail';
import type { LossReason } from '../order/broker';

// How many mailboxes are remembered for what they lost before anyone took it. The one that lost longest ago is forgotten.
const MAX_LOST_MAIL = 16_384;

/** What a mailbox has lost. */
export interface LostMail {
  readonly term: number;
  readonly seq: number;
  readonly reason: LossReason;
}

/** By mailbox, the newest message that was lost before anyone took it, as long as nobody was told. */
export class LostMails {
  readonly #lost = new Map<string, LostMail>();

  get(key: string): LostMail | undefined {
    return this.#lost.get(key);
  }

  entries(): Iterable<[string, LostMail]> {
    return this.#lost.entries();
  }

  add(key: string, lost: LostMail): void {
    const known = this.#lost.get(key);
    if (known !== undefined && isAfter(known, lost)) return;
    this.#lost.delete(key);
    this.#lost.set(key, lost);
    if (this.#lost.size <= MAX_LOST_MAIL) return;
    const [first] = this.#lost.keys();
    this.#lost.delete(first!);
  }

  delete(key: string): void {
    this.#lost.delete(key);
  }
}
