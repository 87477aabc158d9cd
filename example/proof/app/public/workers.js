import { attempt } from '/public/attempt.js';
import { element } from '/public/element.js';
import { post } from '/public/post.js';
import { paint } from './badge.js';

/** The workers of a host that live, the one that a stream is on, and a button that kills it. */
export class Workers {
  #stream;
  #pids = [];
  #list;
  #kill;
  #error;
  #origin;
  #here;

  /** `here` says, in a few words, which of them the stream is on; `origin` is that of another host. */
  constructor(stream, { list, kill, error, here, origin = '' }) {
    this.#stream = stream;
    this.#list = list;
    this.#kill = kill;
    this.#error = error;
    this.#here = here;
    this.#origin = origin;
    stream.onState(() => this.#show());
    stream.on('worker', () => this.#show());
    // The host's agent tells the first to all, the second to each stream that opens.
    for (const name of ['workers', 'ledger']) {
      stream.on(name, ({ pids }) => {
        this.#pids = pids;
        this.#show();
      });
    }
    kill.addEventListener('click', () => this.#killIt());
  }

  async #killIt() {
    this.#kill.disabled = true;
    const { pid } = this.#stream;
    const isKilled = await attempt(this.#error, () => post(`${this.#origin}/api/workers/kill`, { pid }));
    if (!isKilled) this.#show();
  }

  #show() {
    const { pid, state } = this.#stream;
    this.#kill.disabled = state !== 'open' || !this.#pids.includes(pid);
    this.#kill.textContent = pid === undefined ? 'Kill a worker' : `Kill worker ${pid}`;
    this.#list.replaceChildren(
      ...this.#pids.map((each) => {
        const here = each === pid;
        const badge = element('li', 'badge', `worker ${each}`);
        if (here) badge.append(element('small', '', this.#here));
        badge.classList.toggle('lost', here && state === 'waiting');
        paint(badge, each);
        return badge;
      }),
    );
  }
}
