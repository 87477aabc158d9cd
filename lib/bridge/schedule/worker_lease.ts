import { randomBytes } from 'node:crypto';
import type { Channel } from '../../base/channel';
import { SseError } from '../../base/error';
import { learn, type Latest, type Lease, type Offer, type ToArbiter, type ToLeases } from './lease';

/** How long things may take, in ms. */
export interface WorkerLeaseTimes {
  /** What is asked is asked again after this: the agent may have died. */
  readonly again: number;
  /** What the agent does not answer fails after this. */
  readonly publish: number;
}

const TIMES: WorkerLeaseTimes = { again: 1_000, publish: 20_000 };

/** A worker's lease: it asks the agent, until that or the next agent answers. */
export class WorkerLease implements Lease {
  readonly #channel: Channel<ToArbiter, ToLeases>;
  readonly #times: WorkerLeaseTimes;
  /** With its pid, which is where the agent sends to. */
  readonly #worker: string;
  /** What was published last, by schedule: the next agent learns it here. */
  readonly #latest = new Map<string, Latest>();
  readonly #isShared: boolean;
  readonly #asked = new Map<number, (error?: SseError, run?: number) => void>();
  #number = 0;
  #isStopped = false;

  /** `isShared`: other hosts have the same schedules, and the agent finds out whose run it is. */
  constructor(
    channel: Channel<ToArbiter, ToLeases>,
    { isShared = false, ...times }: Partial<WorkerLeaseTimes> & { isShared?: boolean } = {},
  ) {
    this.#channel = channel;
    this.#isShared = isShared;
    this.#times = { ...TIMES, ...times };
    this.#worker = `${process.pid}-${randomBytes(4).toString('hex')}`;
  }

  /** Learns what was published last. */
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
    // Egg runs a schedule in one worker of the host. It is the monotonic clock of the host, in µs: the same one for all
    // of its processes, also for one that starts later.
    return Number(process.hrtime.bigint() / 1_000n);
  }

  async publish(offer: Offer): Promise<void> {
    await this.#ask('the result may still be published, and the next run tries again', (number) => {
      const known = this.#latest.get(offer.name);
      this.#channel.send('offer', { worker: this.#worker, number, offer: { ...offer, known } });
    });
  }

  /** Gives up what is on its way. Safe to call twice. */
  stop(): void {
    this.#isStopped = true;
    this.#channel.close();
    for (const settle of this.#asked.values()) {
      settle(
        new SseError('ERR_SSE_STOPPED', 'this worker is going; the result may or may not be published', {
          status: 503,
        }),
      );
    }
  }

  async #askToBegin(name: string): Promise<number | undefined> {
    try {
      return await this.#ask('the next run tries again', (number) => {
        this.#channel.send('begin', { worker: this.#worker, number, name });
      });
    } catch (error) {
      // It begins nothing any more, which is no failure.
      if (this.#isStopped) return undefined;
      throw error;
    }
  }

  /** Asks the agent until it answers. */
  #ask(otherwise: string, send: (number: number) => void): Promise<number | undefined> {
    const number = ++this.#number;
    return new Promise((resolve, reject) => {
      const again = setInterval(send, this.#times.again, number);
      const settle = (error?: SseError, run?: number): void => {
        clearInterval(again);
        clearTimeout(timer);
        this.#asked.delete(number);
        if (error === undefined) resolve(run);
        else reject(error);
      };
      const timer = setTimeout(() => {
        const text = `the agent did not answer in ${this.#times.publish} ms; ${otherwise}`;
        settle(new SseError('ERR_SSE_UNAVAILABLE', text, { status: 503 }));
      }, this.#times.publish);
      this.#asked.set(number, settle);
      send(number);
    });
  }
}
