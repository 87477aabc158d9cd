import { byId } from './element.js';
import { post } from './post.js';
import { Status } from './status.js';
import { Stream } from './stream.js';

/** A job on the server, and a stream of its own for as long as it runs. */
export class Job {
  #notices;
  #start = byId('job-start');
  #status = new Status('job', 'opens with a job');

  constructor(notices) {
    this.#notices = notices;
    this.#start.addEventListener('click', () => this.#run());
  }

  async #run() {
    this.#start.disabled = true;
    this.#show({ percent: 0, step: 'Waiting for a hen' }, 'running');
    try {
      this.#listen(await post('/api/jobs'));
    } catch (error) {
      this.#end({ percent: 0, step: error.message }, 'failed');
    }
  }

  /** The job has begun before its stream is open; with the id of its first event nothing of it is missed. */
  #listen({ key, lastEventId, pid }) {
    const stream = new Stream([key, 'cluster'], { lastEventId });
    let isOver = false;
    const end = (progress, outcome) => {
      if (isOver) return;
      isOver = true;
      stream.close();
      this.#end(progress, outcome);
    };
    stream.on('progress', (progress) => this.#show(progress, 'running'));
    stream.on('done', (progress) => end(progress, 'done'));
    // All keys of a stream have one order: if the job was done before its worker died, that comes first.
    stream.on('workers', ({ pids }) => {
      if (!pids.includes(pid)) end({ step: `Worker ${pid} died, and the job with it` }, 'failed');
    });
    stream.on('sse:gap', () => end({ step: 'The server was restarted, and the job with it' }, 'failed'));
    this.#status.follow(stream, ['progress', 'done']);
    this.#notices.watch(stream);
    stream.open();
  }

  #end(progress, outcome) {
    this.#show(progress, outcome);
    this.#start.disabled = false;
    this.#start.textContent = 'Start another';
  }

  #show({ percent, step }, outcome) {
    byId('job').dataset.outcome = outcome;
    byId('job-step').textContent = step;
    if (percent === undefined) return;
    byId('job-progress').value = percent;
    byId('job-percent').textContent = `${percent} %`;
  }
}
