import { paint } from './badge.js';
import { byId, element } from '/public/element.js';
import { post } from '/public/post.js';

/** The workers that live, the one this page is on, and a button that kills it. */
export class Workers {
  #stream;
  #pids = [];
  #kill = byId('kill');
  #error = byId('kill-error');

  constructor(stream) {
    this.#stream = stream;
    stream.onState(() => this.#show());
    stream.on('worker', () => this.#show());
    for (const name of ['workers', 'ledger']) {
      stream.on(name, ({ pids }) => {
        this.#pids = pids;
        this.#show();
      });
    }
    stream.on('clients', ({ clients, complete }) => {
      const streams = `${clients} ${clients === 1 ? 'stream' : 'streams'}`;
      byId('clients').textContent = `${complete ? '' : 'At least '}${streams} open over all workers`;
    });
    this.#kill.addEventListener('click', () => this.#killIt());
  }

  async #killIt() {
    this.#kill.disabled = true;
    try {
      await post('/api/workers/kill', { pid: this.#stream.pid });
      this.#error.hidden = true;
    } catch (error) {
      this.#error.textContent = error.message;
      this.#error.hidden = false;
      this.#show();
    }
  }

  #show() {
    const { pid, state } = this.#stream;
    this.#kill.disabled = state !== 'open' || !this.#pids.includes(pid);
    this.#kill.textContent = pid === undefined ? 'Kill a worker' : `Kill worker ${pid}`;
    byId('pids').replaceChildren(
      ...this.#pids.map((each) => {
        const here = each === pid;
        const badge = element('li', 'badge', `worker ${each}`);
        if (here) badge.append(element('small', '', 'this page'));
        badge.classList.toggle('lost', here && state === 'waiting');
        paint(badge, each);
        return badge;
      }),
    );
  }
}
