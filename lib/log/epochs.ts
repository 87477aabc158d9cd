import { parseCursor, type Position } from '../order/cursor';

/** A place in the order, over all its epochs: the term of an epoch, and the place in it. */
export interface Rank {
  readonly term: number;
  readonly seq: number;
}

/** Whether one rank comes after another. */
export function isAfter(a: Rank, b: Rank): boolean {
  return a.term > b.term || (a.term === b.term && a.seq > b.seq);
}

interface Epoch {
  readonly term: number;
  /** The newest place in it. */
  seq: number;
  /** The place from which on it is known what waits in mailboxes. */
  mailFrom?: number;
}

/** The epochs of the order that a log has followed. Each has a number, its term, which grows. */
export class Epochs {
  readonly #epochs = new Map<string, Epoch>();
  #name = '';
  #term = 0;
  #present: Epoch | undefined;

  /** The name of the present epoch. */
  get name(): string {
    return this.#name;
  }

  /** The term of the present epoch. */
  get term(): number {
    return this.#term;
  }

  /** The newest place in the present epoch. */
  get seq(): number {
    return this.#present?.seq ?? 0;
  }

  /** The newest place in the order; `undefined` before there is an order. */
  get position(): Position | undefined {
    return this.#name === '' ? undefined : { epoch: this.#name, seq: this.seq };
  }

  get(name: string): Epoch | undefined {
    return this.#epochs.get(name);
  }

  /** Comes to a place, perhaps of a new epoch. */
  arrive({ epoch, seq }: Position): void {
    if (epoch !== this.#name) {
      this.#name = epoch;
      this.#term = this.#epochs.size + 1;
      this.#present = this.#epochs.get(epoch);
    }
    if (this.#present !== undefined) this.#present.seq = seq;
    else this.#epochs.set(epoch, (this.#present = { term: this.#term, seq }));
  }

  nameOf(term: number): string {
    if (term === this.#term) return this.#name;
    for (const [name, its] of this.#epochs) if (its.term === term) return name;
    return this.#name;
  }

  /** The rank of a position, of an epoch that is known. */
  rankOf({ epoch, seq }: Position): Rank | undefined {
    const term = this.#epochs.get(epoch)?.term;
    return term === undefined ? undefined : { term, seq };
  }

  /** The rank that a cursor names, of an epoch that is known. */
  rankNamed(cursor: string): Rank | undefined {
    const position = parseCursor(cursor);
    return position === undefined ? undefined : this.rankOf(position);
  }
}
