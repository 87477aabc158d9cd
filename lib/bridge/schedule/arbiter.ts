import type { Channel } from '../../base/channel';
import type { SseError } from '../../base/error';
import type { Offer, ToArbiter, ToLeases } from './lease';
import { Published } from './published';
import { publishTo, type Publishing } from '../publishing';

/**
 * The agent's end: publishes the results that workers offer, each change once per host.
 *
 * Whichever worker offers, however late: a result that began to load before one that was published is not published.
 */
export class Arbiter {
  readonly #channel: Channel<ToLeases, ToArbiter>;
  readonly #sse: Publishing;
  readonly #published = new Published();
  /** Offers that wait: they may be sent again meanwhile. */
  readonly #waiting = new Set<string>();
  #last: Promise<void> = Promise.resolve();

  constructor(channel: Channel<ToLeases, ToArbiter>, sse: Publishing) {
    this.#channel = channel;
    this.#sse = sse;
  }

  /** Takes offers, and learns of the workers that live what was published before this agent. */
  start(): void {
    const channel = this.#channel;
    channel.on('recall', ({ worker }) => channel.send('remember', { latest: this.#published.all }, worker));
    channel.on('remember', ({ latest }) => this.#published.learn(latest));
    channel.on('offer', ({ worker, number, offer, known }) => {
      if (known !== undefined) this.#published.learn([[offer.name, known]]);
      const id = `${worker} ${number}`;
      if (this.#waiting.has(id)) return;
      this.#waiting.add(id);
      // One after the other: only then is it known what was published before.
      const last = this.#last;
      const settle = async (): Promise<void> => {
        await last;
        const error = await this.#settle(offer);
        this.#waiting.delete(id);
        channel.send('settled', { number, error }, worker);
      };
      this.#last = settle();
    });
    channel.send('recall', {});
  }

  stop(): void {
    this.#channel.close();
  }

  /** Publishes a result if it is new; says what went wrong. */
  async #settle({ name, run, digest, target, event, data }: Offer): Promise<ToLeases['settled']['error']> {
    const before = this.#published.of(name);
    if (before !== undefined && run <= before.run) return undefined;
    try {
      if (digest !== before?.digest) await publishTo(this.#sse, target, { event, data }, 'host');
    } catch (error) {
      const { code, message, status } = error as SseError;
      return { code, message, status };
    }
    const latest = [[name, { run, digest }]] as const;
    this.#published.learn(latest);
    this.#channel.send('remember', { latest });
    return undefined;
  }
}
