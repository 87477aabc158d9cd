import type { Channel } from '../../base/channel';
import { publishTo, type Publishing } from '../publishing';
import { learn, type AgentLease, type Latest, type Offer, type ToArbiter, type ToLeases } from './lease';

/**
 * The lease of one host, in its agent, where the results of all workers meet: each change is published once.
 *
 * Whichever worker offers, however late: a result that began to load before one that was published is not published.
 * Every worker is told what was published last, and tells the next agent, which does not publish it again.
 */
export class HostLease implements AgentLease {
  readonly #channel: Channel<ToLeases, ToArbiter>;
  readonly #sse: Publishing;
  /** The results that were published last, by schedule. */
  readonly #latest = new Map<string, Latest>();
  #last: Promise<void> = Promise.resolve();

  constructor(channel: Channel<ToLeases, ToArbiter>, sse: Publishing) {
    this.#channel = channel;
    this.#sse = sse;
  }

  /** Learns of the workers that live what was published before this agent. */
  start(): void {
    const channel = this.#channel;
    channel.on('recall', ({ worker }) => channel.send('remember', { latest: [...this.#latest] }, worker));
    channel.on('remember', ({ latest }) => learn(this.#latest, latest));
    channel.send('recall', {});
  }

  publish(offer: Offer): Promise<void> {
    if (offer.known !== undefined) learn(this.#latest, [[offer.name, offer.known]]);
    // One after the other: only then is it known what was published before.
    const published = this.#last.then(() => this.#publish(offer));
    this.#last = published.catch(() => undefined);
    return published;
  }

  async #publish({ name, run, digest, target, event, data }: Offer): Promise<void> {
    const before = this.#latest.get(name);
    if (before !== undefined && run <= before.run) return;
    if (digest !== before?.digest) await publishTo(this.#sse, target, { event, data }, 'host');
    const latest = [[name, { run, digest }]] as const;
    learn(this.#latest, latest);
    this.#channel.send('remember', { latest });
  }
}
