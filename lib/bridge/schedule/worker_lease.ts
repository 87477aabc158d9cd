import { randomBytes } from 'node:crypto';
import type { Channel } from '../../base/channel';
import { SseError } from '../../base/error';
import { learn, type Latest, type Lease, type Offer, type ToArbiter, type ToLeases } from './lease';

/** Times of the lease, in ms. */
export interface WorkerLeaseTimes {
  /** After this a question is asked again: the agent may have died. */
  readonly again: number;
  /** After this a question that the agent has not answered fails. */
  readonly publish: number;
}

const TIMES: WorkerLeaseTimes = { again: 1_000, publish: 20_000 };

/** A worker's lease: it asks the agent, until that or the next agent answers. */
export class WorkerLease implements Lease {
  readonly #channel: Channel<ToArbiter, ToLeases>;
  readonly #times: WorkerLeaseTimes;
  /** This worker's name: its pid is the address to which the agent sends. */
  readonly #worker: string;
  /** The results that were published last, by schedule: the next agent learns them here. */
  readonly #latest = new Map<string, Latest>();
  readonly #isShared: boolean;
  readonly #asked = new Map<number, (error?: SseError, run?: number) => void>();
  #number = 0;
  #isStopped = false;

  /** `isShared`: other hosts have the same schedules, and the agent finds out which host is to run one. */
  constructor(
    channel: Channel<ToArbiter, ToLeases>,
    { isShared = false, ...times }: Partial<WorkerLeaseTimes> & { isShared?: boolean } = {},
  ) {
    this.#channel = channel;
    this.#isShared = isShared;
    this.#times = { ...TIMES, ...times };
    this.#worker = `${process.pid}-${randomBytes(4).toString('hex')}`;
  }

  /** Learns the results that were published last. */
  start(): void {
    const channel = this.#channel;
    channel.on('remember', ({ latest }) => learn(this.#latest, latest), this.#worker);
    channel.on('recall', () => channel.send('remember', { latest: [...this.#latest] }), this.#worker);
    channel.on(
      'answer',
      ({ number, run, error }) => {
        const { code = '', message = '', status } = error ?? {};
        this.#asked.get(number)?.(error === undefined ? undefined : new SseError(code, message, { status }), run);
      },
      this.#worker,
    );
    channel.send('recall', { worker: this.#worker });
  }

  async begin(name: string): Promise<number | undefined> {
    if (this.#isShared) return this.#askToBegin(name);
    // Egg has one worker of the host run a schedule, so no other needs to be asked. The number is the monotonic clock of
    // the host, in µs: the same clock for all of its processes, also for one that starts later.
    return Number(process.hrtime.bigint() / 1_000n);
  }

  async publish(offer: Offer): Promise<void> {
    await this.#ask('the result may still be published, and the next run tries again', (number) => {
      const known = this.#latest.get(offer.name);
      this.#channel.send('offer', { worker: this.#worker, number, offer: { ...offer, known } });
    });
  }

  /** Gives up all questions that have no answer. Safe to call twice. */
  stop(): void {
    this.#isStopped = true;
    this.#channel.close();
    for (const end of this.#asked.values()) {
      end(
        new SseError(
          'ERR_SSE_STOPPED',
          'this worker stops; the result may or may not be published, and the next run tries again',
          {
            status: 503,
          },
        ),
      );
    }
  }

  async #askToBegin(name: string): Promise<number | undefined> {
    try {
      return await this.#ask('the next run tries again', (number) => {
        this.#channel.send('begin', { worker: this.#worker, number, name });
      });
    } catch (error) {
      // A worker that stops begins no run, which is no failure.
      if (this.#isStopped) return undefined;
      throw error;
    }
  }

  /** Asks the agent until it answers; `otherwise` says in the error what follows if it does not. */
  #ask(otherwise: string, send: (number: number) => void): Promise<number | undefined> {
    const number = ++this.#number;
    return new Promise((resolve, reject) => {
      const again = setInterval(send, this.#times.again, number);
      const end = (error?: SseError, run?: number): void => {
        clearInterval(again);
        clearTimeout(timer);
        this.#asked.delete(number);
        if (error === undefined) resolve(run);
        else reject(error);
      };
      const timer = setTimeout(() => {
        const text = `the agent did not answer in ${this.#times.publish} ms; ${otherwise}`;
        end(new SseError('ERR_SSE_UNAVAILABLE', text, { status: 503 }));
      }, this.#times.publish);
      this.#asked.set(number, end);
      send(number);
    });
  }
}
