import type { Channel } from '../../base/channel';
import type { SseError } from '../../base/error';
import type { ToArbiter, ToLeases } from './lease';
import type { RedisLease } from './redis_lease';

type Answer = Omit<ToLeases['settled'], 'number'>;

/** The agent's end where hosts share their schedules: it asks for its workers, so that they need no connection for it. */
export class SharedArbiter {
  readonly #channel: Channel<ToLeases, ToArbiter>;
  readonly #lease: Pick<RedisLease, 'start' | 'begin' | 'publish' | 'stop'>;
  /** What waits for its answer: it may be asked again meanwhile. */
  readonly #waiting = new Set<string>();

  constructor(channel: Channel<ToLeases, ToArbiter>, lease: Pick<RedisLease, 'start' | 'begin' | 'publish' | 'stop'>) {
    this.#channel = channel;
    this.#lease = lease;
  }

  /** Takes what workers ask. */
  start(): void {
    this.#lease.start();
    this.#channel.on(
      'begin',
      (asked) => void this.#answer(asked, async () => ({ run: await this.#lease.begin(asked.name) })),
    );
    this.#channel.on('offer', (asked) => {
      void this.#answer(asked, async () => {
        await this.#lease.publish(asked.offer);
        return {};
      });
    });
  }

  async stop(): Promise<void> {
    this.#channel.close();
    await this.#lease.stop();
  }

  async #answer(asked: { worker: string; number: number }, find: () => Promise<Answer>): Promise<void> {
    const { worker, number } = asked;
    const id = `${worker} ${number}`;
    if (this.#waiting.has(id)) return;
    this.#waiting.add(id);
    let answer: Answer;
    try {
      answer = await find();
    } catch (error) {
      const { code, message, status } = error as SseError;
      answer = { error: { code, message, status } };
    }
    this.#waiting.delete(id);
    this.#channel.send('settled', { number, ...answer }, worker);
  }
}
