import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Service } from 'egg';

const STEPS = ['Collecting the eggs', 'Candling them', 'Sorting by size', 'Filling the boxes', 'Loading the van'];
// Jobs at a time, in each worker.
const MAX_RUNNING = 20;
const PERCENT_PER_TURN = 2;
const TURN_MS = 100;

let running = 0;

/** The answer to a request for a job: where to listen. */
interface Ticket {
  readonly key: string;
  /** A stream opened with it gets everything the job says, however late it is opened. */
  readonly lastEventId: string;
  /** The worker that runs it: when that dies, so does the job. */
  readonly pid: number;
}

/** Jobs that pretend to do something for a few seconds, and say how far they are. */
export default class JobsService extends Service {
  get full(): boolean {
    return running >= MAX_RUNNING;
  }

  async start(): Promise<Ticket> {
    const key = `job:${randomUUID()}`;
    const { id } = await this.app.sse.publish(key, { event: 'queued' });
    running++;
    this.ctx.runInBackground(async () => {
      try {
        await this.#run(key);
      } finally {
        running--;
      }
    });
    return { key, lastEventId: id, pid: process.pid };
  }

  async #run(key: string): Promise<void> {
    for (let percent = 0; percent < 100; percent += PERCENT_PER_TURN) {
      const step = STEPS[Math.floor((percent / 100) * STEPS.length)];
      await this.app.sse.publish(key, { event: 'progress', data: { percent, step } });
      await sleep(TURN_MS);
    }
    await this.app.sse.publish(key, { event: 'done', data: { percent: 100, step: 'Done' } });
  }
}

declare module 'egg' {
  interface IService {
    jobs: JobsService;
  }
}
