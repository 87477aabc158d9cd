import type { Channel } from '../../base/channel';
import type { SseError } from '../../base/error';
import type { AgentLease, ToArbiter, ToLeases } from './lease';

/** The agent's end of the channel: asks the agent's lease for the workers of this host, once for each thing they ask. */
export class Arbiter {
  readonly #channel: Channel<ToLeases, ToArbiter>;
  readonly #lease: AgentLease;
  /** Questions on their way to an answer: they may be asked again meanwhile. */
  readonly #unanswered = new Set<string>();

  constructor(channel: Channel<ToLeases, ToArbiter>, lease: AgentLease) {
    this.#channel = channel;
    this.#lease = lease;
  }

  /** Answers from now on what workers ask. */
  start(): void {
    const lease = this.#lease;
    this.#channel.on('begin', (asked) => void this.#answer(asked, async () => lease.begin?.(asked.name)));
    this.#channel.on(
      'offer',
      (asked) => void this.#answer(asked, () => lease.publish(asked.offer).then(() => undefined)),
    );
    lease.start();
  }

  /** Answers no more, and gives back what the lease has. */
  async stop(): Promise<void> {
    this.#channel.close();
    await this.#lease.stop?.();
  }

  /** Sends what the lease says: for a run its number, and for what fails the error. */
  async #answer(
    { worker, number }: ToArbiter['begin' | 'offer'],
    ask: () => Promise<number | undefined>,
  ): Promise<void> {
    const id = `${worker} ${number}`;
    if (this.#unanswered.has(id)) return;
    this.#unanswered.add(id);
    let answer: ToLeases['answer'];
    try {
      answer = { number, run: await ask() };
    } catch (error) {
      const { code, message, status } = error as SseError;
      answer = { number, error: { code, message, status } };
    }
    this.#unanswered.delete(id);
    this.#channel.send('answer', answer, worker);
  }
}
