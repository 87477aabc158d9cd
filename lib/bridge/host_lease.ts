import { randomBytes } from 'node:crypto';
import type { Channel } from '../channel';
import { SseError } from '../error';
import type { Lease, Offer } from './schedule';
import { Published, type Latest } from './published';

/** What a worker says to the agent of schedules. */
export interface ToArbiter {
  /** It wants a result published. `known` is what it knows of the schedule: more than a new agent does. */
  offer: { worker: string; number: number; offer: Offer; known: Latest | undefined };
  /** It is new, and wants to know what was published last. */
  recall: { worker: string };
  /** What it knows. */
  remember: { latest: readonly (readonly [string, Latest])[] };
}

/** What the agent says of schedules to one worker or to all. */
export interface ToLeases {
  /** What came of an offer. */
  settled: { number: number; error?: { code: string; message: string; status: number } };
  /** It is new, and wants to know what was published last. */
  recall: object;
  /** What was published last. */
  remember: { latest: readonly (readonly [string, Latest])[] };
}

/** How long things may take, in ms. */
export interface HostLeaseTimes {
  /** An offer is sent again after this: the agent may have died. */
  readonly again: number;
  /** An offer that the agent does not answer fails after this. */
  readonly publish: number;
}

const TIMES: HostLeaseTimes = { again: 1_000, publish: 20_000 };

/**
 * A worker's lease of the schedules of its host, by way of the agent, where the results of all workers meet.
 *
 * Every worker knows what was published last, so that a new agent does not publish it again.
 */
export class HostLease implements Lease {
  readonly #channel: Channel<ToArbiter, ToLeases>;
  readonly #times: HostLeaseTimes;
  /** With its pid, which is where the agent sends to. */
  readonly #worker: string;
  readonly #published = new Published();
  readonly #offers = new Map<number, (error?: SseError) => void>();
  #number = 0;

  constructor(channel: Channel<ToArbiter, ToLeases>, times: Partial<HostLeaseTimes> = {}) {
    this.#channel = channel;
    this.#times = { ...TIMES, ...times };
    this.#worker = `${process.pid}-${randomBytes(4).toString('hex')}`;
  }

  /** Learns what was published last. */
  start(): void {
    const channel = this.#channel;
    channel.on('remember', ({ latest }) => this.#published.learn(latest), this.#worker);
    channel.on('recall', () => channel.send('remember', { latest: this.#published.all }), this.#worker);
    channel.on(
      'settled',
      ({ number, error }) => {
        const { code = '', message = '', status } = error ?? {};
        this.#offers.get(number)?.(error === undefined ? undefined : new SseError(code, message, { status }));
      },
      this.#worker,
    );
    channel.send('recall', { worker: this.#worker });
  }

  /** Egg runs a schedule in one worker of the host. */
  async begin(): Promise<number> {
    // The monotonic clock of the host, in µs: the same one for all of its processes, also for one that starts later.
    return Number(process.hrtime.bigint() / 1_000n);
  }

  publish(offer: Offer): Promise<void> {
    const number = ++this.#number;
    return new Promise((resolve, reject) => {
      const send = (): void =>
        this.#channel.send('offer', {
          worker: this.#worker,
          number,
          offer,
          known: this.#published.of(offer.name),
        });
      const again = setInterval(send, this.#times.again);
      const settle = (error?: SseError): void => {
        clearInterval(again);
        clearTimeout(timer);
        this.#offers.delete(number);
        if (error === undefined) resolve();
        else reject(error);
      };
      const timer = setTimeout(() => {
        const text = `the agent did not answer in ${this.#times.publish} ms; the result may still be published, and the next run tries again`;
        settle(new SseError('ERR_SSE_UNAVAILABLE', text, { status: 503 }));
      }, this.#times.publish);
      this.#offers.set(number, settle);
      send();
    });
  }

  /** Gives up what is on its way. Safe to call twice. */
  stop(): void {
    this.#channel.close();
    for (const settle of this.#offers.values()) {
      settle(
        new SseError('ERR_SSE_STOPPED', 'this worker is going; the result may or may not be published', {
          status: 503,
        }),
      );
    }
  }
}
