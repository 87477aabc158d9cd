import { randomBytes } from 'node:crypto';
import type { Poll, Question, Ticket } from '../order/broker';

/** What a process knows of a user's seats. */
interface Taken {
  readonly process: string;
  /** Streams that are open, and those that are asked for by earlier tickets. */
  readonly taken: number;
}

/** A seat that is kept until it is decided on. */
export interface Slot {
  readonly isFree: boolean;
  /** To be called in the turn in which the stream is open, or when it will not be. */
  release(): void;
}

/**
 * Lets a user have so many streams on this host and no more, also when many are asked for in the same moment.
 *
 * Each is asked for under a ticket, which is known here before anybody is asked. Of any two, whoever answers the other
 * gives later tickets from then on: so the later of them always hears of the earlier one, and makes way for it.
 */
export class UserLimit {
  readonly #limit: number;
  readonly #countOf: (user: string) => number;
  readonly #process = `${process.pid}-${randomBytes(4).toString('hex')}`;
  readonly #pending = new Map<string, Set<Ticket>>();
  #time = 0;

  /** `countOf`: a user's streams that are open in this process. */
  constructor(limit: number, countOf: (user: string) => number) {
    this.#limit = limit;
    this.#countOf = countOf;
  }

  /** Asks for a seat. Those who do not answer in time are taken to have no streams of this user. */
  async reserve(user: string, ask: (question: Question) => Promise<Poll>): Promise<Slot> {
    this.#time = Math.max(Date.now(), this.#time + 1);
    const ticket: Ticket = { time: this.#time, process: this.#process };
    let pending = this.#pending.get(user);
    if (pending === undefined) this.#pending.set(user, (pending = new Set()));
    pending.add(ticket);
    const release = (): void => {
      pending.delete(ticket);
      if (pending.size === 0 && this.#pending.get(user) === pending) this.#pending.delete(user);
    };
    try {
      const { answers } = await ask({ slots: user, ticket });
      const others = (answers as readonly Taken[]).filter((answer) => answer.process !== this.#process);
      // This process may not have been asked, when it has just started; and it knows better by now.
      const taken = [...others, this.#takenBefore(user, ticket)].reduce((sum, each) => sum + each.taken, 0);
      return { isFree: taken < this.#limit, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** What a process that asks is told. */
  answer(user: string, ticket: Ticket): Taken {
    this.#time = Math.max(this.#time, ticket.time);
    return this.#takenBefore(user, ticket);
  }

  #takenBefore(user: string, ticket: Ticket): Taken {
    let taken = this.#countOf(user);
    for (const each of this.#pending.get(user) ?? []) if (isBefore(each, ticket)) taken++;
    return { process: this.#process, taken };
  }
}

function isBefore(a: Ticket, b: Ticket): boolean {
  return a.time < b.time || (a.time === b.time && a.process < b.process);
}
