import type { Losses } from '../../order/broker';
import type { Place } from './place';

/** What a process that knows more than the store says of it, so that those who never heard of it can tell their clients. */
export interface Testimony {
  readonly term: number;
  /** How far it has heard. */
  readonly seq: number;
  /** From which place on it can say the keys. */
  readonly from: number;
  /** The newest place of each key since, by host: '' for all. */
  readonly keys: readonly (readonly [host: string, key: string, seq: number])[];
}

// Of how many of its newest messages a process can say which keys they had.
const REMEMBERED = 1_000;

/** What a process has heard of the order: it can say what is lost, should the store lose it, and learns that of others. */
export class Witness {
  /** How far it has heard of epochs that have ended. */
  readonly #ends = new Map<number, number>();
  readonly #recent: { seq: number; host: string; keys: readonly string[] }[] = [];

  /** Hears a message of the present epoch; `host` is '' when it is for all. */
  hear(seq: number, host: string, keys: readonly string[]): void {
    this.#recent.push({ seq, host, keys });
    if (this.#recent.length > 2 * REMEMBERED) this.#recent.splice(0, REMEMBERED);
  }

  /** Says that the present epoch is over, which it has followed up to a place. */
  end({ term, seq }: Place): void {
    this.#ends.set(term, seq);
    this.#recent.length = 0;
  }

  /** What it can tell others when it is at a place. */
  testify({ term, seq }: Place): Testimony {
    const newest = new Map<string, readonly [string, string, number]>();
    const recent = this.#recent.slice(-REMEMBERED);
    for (const each of recent) {
      for (const key of each.keys) newest.set(`${each.host}\n${key}`, [each.host, key, each.seq]);
    }
    return { term, seq, from: recent[0]?.seq ?? seq + 1, keys: [...newest.values()] };
  }

  /** What the store has lost of an epoch before this process heard of it; `concerns` says of which hosts it hears. */
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
