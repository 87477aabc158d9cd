import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Broker, Draft, Message } from '../broker';
import { newEpoch, type Position } from '../cursor';

/** Orders messages within this process: all a single worker needs. */
export class MemoryBroker implements Broker {
  readonly #epoch = newEpoch();
  #seq = 0;
  #deliver: ((message: Message) => void) | undefined;

  async start(deliver: (message: Message) => void): Promise<Position> {
    this.#deliver = deliver;
    return { epoch: this.#epoch, seq: this.#seq };
  }

  async publish(draft: Draft): Promise<Position> {
    const position = { epoch: this.#epoch, seq: ++this.#seq };
    this.#deliver?.({ ...draft, position });
    // Lets the loop turn, so that one who publishes much and awaits each goes at the pace of the pump.
    await nextTurn();
    return position;
  }

  async stop(): Promise<void> {
    this.#deliver = undefined;
  }
}
