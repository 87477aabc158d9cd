import type { Losses } from '../../order/broker';
import type { Place } from './place';

/** The newest messages that a process has heard: should the store lose them, others can tell their clients so. */
export interface Testimony {
  readonly term: number;
  /** The newest message that it has heard. */
  readonly seq: number;
  /** From this message on it remembers the keys. */
  readonly from: number;
  /** Of each key, the newest message since `from`; `host` is '' when it was for all hosts. */
  readonly keys: readonly (readonly [host: string, key: string, seq: number])[];
}

// A process remembers the keys of this many of its newest messages.
const REMEMBERED = 1_000;

/** The messages that a process has heard: it testifies to others what the store has lost, and learns it from them. */
export class Witness {
  /** By epoch that has ended, the newest message that was heard of it. */
  readonly #ends = new Map<number, number>();
  readonly #recent: { seq: number; host: string; keys: readonly string[] }[] = [];

  /** Hears a message of the present epoch; `host` is '' when it is for all. */
  hear(seq: number, host: string, keys: readonly string[]): void {
    this.#recent.push({ seq, host, keys });
    if (this.#recent.length > 2 * REMEMBERED) this.#recent.splice(0, REMEMBERED);
  }

  /** Ends the present epoch, of which this process has heard up to a place. */
  end({ term, seq }: Place): void {
    this.#ends.set(term, seq);
    this.#recent.length = 0;
  }

  /** The testimony of this process when it has heard up to a place. */
  testify({ term, seq }: Place): Testimony {
    const newest = new Map<string, readonly [string, string, number]>();
    const recent = this.#recent.slice(-REMEMBERED);
    for (const each of recent) {
      for (const key of each.keys) newest.set(`${each.host}\n${key}`, [each.host, key, each.seq]);
    }
    return { term, seq, from: recent[0]?.seq ?? seq + 1, keys: [...newest.values()] };
  }

  /** The losses that a testimony shows: messages not heard here, of hosts that this process is concerned with. */
  learn({ term, seq, from, keys }: Testimony, concerns: (host: string) => boolean): Losses | undefined {
    const heard = this.#ends.get(term);
    if (heard === undefined || heard >= seq) return undefined;
    this.#ends.set(term, seq);
    const lost = keys
      .filter(([host, , at]) => at > heard && concerns(host))
      .map(([, key, at]) => ({ key, seq: at, reason: 'lost' as const }));
    return { keys: lost, others: from > heard + 1 ? { seq: from - 1, reason: 'lost' } : undefined };
  }
}
