import { byId } from './element.js';
import { post } from './post.js';
import { Status } from './status.js';
import { Stream } from './stream.js';

/** A job on the server, and a stream of its own for as long as it runs. */
export class Job {
  /** The stream of the job that runs. */
  stream;
  #open;
  #start = byId('job-start');
  #status = new Status('job', 'opens with a job');

  /** `open` opens the stream of each job. */
  constructor(open) {
    this.#open = open;
    this.#start.addEventListener('click', () => this.#run());
  }

  async #run() {
    this.#start.disabled = true;
    this.#show({ percent: 0, step: 'Waiting for a hen' }, 'running');
    try {
      const { key, lastEventId } = await post('/api/jobs');
      this.#listen(key, lastEventId);
    } catch (error) {
      this.#end({ percent: 0, step: error.message }, 'failed');
    }
  }

  /** The job has begun before its stream is open; with the id of its first event nothing of it is missed. */
  #listen(key, lastEventId) {
    const stream = new Stream([key], lastEventId);
    this.stream = stream;
    this.#status.follow(stream, ['progress', 'done']);
    stream.on('progress', (progress) => this.#show(progress, 'running'));
    stream.on('done', (progress) => this.#end(progress, 'done'));
    stream.on('sse:gap', () => this.#end({ step: 'The server was restarted, and the job with it' }, 'failed'));
    this.#open(stream);
  }

  #end(progress, outcome) {
    this.#show(progress, outcome);
    this.stream?.close();
    this.stream = undefined;
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
