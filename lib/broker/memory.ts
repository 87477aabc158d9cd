import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Broker, type Draft, type Poll, type Question, type Replica, NO_LOSSES } from '../order/broker';
import { newEpoch, type Position } from '../order/cursor';
import { SseError } from '../base/error';

/** Orders messages within this process, for an app without workers. */
export class MemoryBroker implements Broker {
  readonly #epoch = newEpoch();
  #seq = 0;
  #turn: Promise<void> | undefined;
  #replica: Replica | undefined;

  async start(replica: Replica): Promise<void> {
    this.#replica = replica;
    replica.enter(this.#epoch, NO_LOSSES);
    replica.arrive({ epoch: this.#epoch, seq: this.#seq });
    replica.follow(true);
  }

  async publish(draft: Draft): Promise<Position> {
    if (this.#replica === undefined) throw new SseError('ERR_SSE_STOPPED', 'this process is going', { status: 503 });
    const position = { epoch: this.#epoch, seq: ++this.#seq };
    this.#replica.deliver(draft, position);
    // The loop turns once, so that a publisher that awaits each of many publishes goes at the pace of the pump.
    await (this.#turn ??= this.#nextTurn());
    return position;
  }

  /** One promise for all publishes of a turn. */
  async #nextTurn(): Promise<void> {
    await nextTurn();
    this.#turn = undefined;
  }

  async catchUp(): Promise<boolean> {
    // This process is the order.
    return true;
  }

  async ask(question: Question): Promise<Poll> {
    return { answers: this.#replica === undefined ? [] : [await this.#replica.answer(question)], complete: true };
  }

  async stop(): Promise<void> {
    this.#replica = undefined;
  }
}
