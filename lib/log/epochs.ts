import { parseCursor, type Position } from '../order/cursor';

/** A place in the order: the number of its epoch, and where in that. */
export interface Place {
  readonly term: number;
  readonly seq: number;
}

interface Epoch {
  readonly term: number;
  /** How far it has come. */
  seq: number;
  /** From which place on it is known what waits in mailboxes. */
  mailFrom?: number;
}

/** The epochs of the order that a log has followed; each has a number, which grows. */
export class Epochs {
  readonly #epochs = new Map<string, Epoch>();
  #name = '';
  #term = 0;
  #present: Epoch | undefined;

  /** The name of the present one. */
  get name(): string {
    return this.#name;
  }

  /** The number of the present one. */
  get term(): number {
    return this.#term;
  }

  /** The newest place in it. */
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

  /** Comes to a place, of a new epoch perhaps. */
  begin({ epoch, seq }: Position): void {
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

  /** The place that a cursor names, of an epoch that is known. */
  placeNamed(cursor: string): Place | undefined {
    const position = parseCursor(cursor);
    const term = position === undefined ? undefined : this.#epochs.get(position.epoch)?.term;
    return term === undefined ? undefined : { term, seq: position!.seq };
  }
}
