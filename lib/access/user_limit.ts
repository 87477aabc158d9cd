import { randomBytes } from 'node:crypto';
import type { Poll, Question, Ticket } from '../order/broker';

/** A process's answer to how many streams a user has there. */
interface Count {
  readonly process: string;
  /** Open streams, and those that earlier tickets ask for. */
  readonly streams: number;
}

/** Room for one more stream of a user, reserved until it is released. */
export interface Slot {
  readonly isFree: boolean;
  /** To be called in the turn in which the stream opens, or when it will not open. */
  release(): void;
}

/**
 * Lets a user have so many streams on this host and no more, also when many are asked for in the same moment.
 *
 * A stream is asked for under a ticket, which its process knows before it asks the others. A process that has answered
 * a question gives later tickets from then on. So of any two tickets the later one always hears of the earlier one, and
 * makes way for it.
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

  /** Reserves a slot. A process that does not answer in time counts as one without streams of this user. */
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
      const others = (answers as readonly Count[]).filter((answer) => answer.process !== this.#process);
      // This process counts for itself: it may be too new to have been asked, and its answer may be old by now.
      const streams = [...others, this.#countBefore(user, ticket)].reduce((sum, each) => sum + each.streams, 0);
      return { isFree: streams < this.#limit, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Answers a process that asks under a ticket. */
  answer(user: string, ticket: Ticket): Count {
    this.#time = Math.max(this.#time, ticket.time);
    return this.#countBefore(user, ticket);
  }

  #countBefore(user: string, ticket: Ticket): Count {
    let streams = this.#countOf(user);
    for (const each of this.#pending.get(user) ?? []) if (isBefore(each, ticket)) streams++;
    return { process: this.#process, streams };
  }
}

function isBefore(a: Ticket, b: Ticket): boolean {
  return a.time < b.time || (a.time === b.time && a.process < b.process);
}
