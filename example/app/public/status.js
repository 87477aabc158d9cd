import { byId, element } from './element.js';

const STATES = {
  closed: 'closed',
  connecting: 'connecting …',
  open: 'open',
  waiting: 'reconnecting …',
};

/** The line at the foot of a panel: the state of its stream, what came last and when, and its id. */
export class Status {
  #panel;
  #last;

  constructor(panel, idle = STATES.closed) {
    this.#panel = panel;
    document.querySelector(`[data-status="${panel}"]`).append(
      element('span', 'state', element('i', ''), this.#part('span', 'state')),
      this.#part('span', 'last', 'last'),
      element('span', 'id', 'id ', this.#part('code', 'last-id', '', '–')),
    );
    this.#state('closed', idle);
    setInterval(() => this.#tell(), 100);
  }

  /** Follows a stream, and those of its events that are named. */
  follow(stream, names) {
    stream.onState((state) => this.#state(state));
    for (const name of [...names, 'sse:hello', 'sse:gap', 'sse:bye', 'sse:busy']) {
      stream.on(name, (_data, event) => {
        this.#last = { name, at: performance.now() };
        byId(`${this.#panel}-last-id`).textContent = event.lastEventId || '–';
        this.#tell();
      });
    }
  }

  #part(tag, name, className = '', ...content) {
    const part = element(tag, className, ...content);
    part.dataset.testid = `${this.#panel}-${name}`;
    return part;
  }

  #state(state, text = STATES[state]) {
    byId(this.#panel).dataset.state = state;
    byId(`${this.#panel}-state`).textContent = text;
  }

  #tell() {
    if (this.#last === undefined) return;
    const seconds = (performance.now() - this.#last.at) / 1_000;
    const ago = seconds < 10 ? seconds.toFixed(1) : seconds < 100 ? Math.floor(seconds) : '> 99';
    byId(`${this.#panel}-last`).textContent = `${this.#last.name} · ${ago} s ago`;
  }
}
