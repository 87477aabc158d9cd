// How long to wait before opening a stream that the browser itself has given up, in ms.
const REOPEN_AFTER = 3_000;

/**
 * An EventSource that can be closed and opened again where it left off.
 *
 * The browser reconnects by itself, and says with `Last-Event-ID` where it was. Two cases are left to the page: a stream
 * that the page closed itself, and an answer other than 200, after which a browser never comes back. Both go on with
 * `lastEventId` in the query.
 */
export class Stream {
  /** The place up to which everything has arrived. */
  lastEventId;
  /** How often it was begun anew. */
  begun = 0;
  /** `closed`, `connecting`, `open` or `waiting` to reconnect. */
  state = 'closed';
  /** The worker it is on or was last on. Demo only: the server says it to who opens with a key `stream:…`. */
  pid;
  #keys;
  #origin;
  #source;
  #timer;
  #listeners = new Map();
  #onState = [];

  /** `origin` is that of another host; without it, the stream is that of the page's own. */
  constructor(keys, lastEventId = '', origin = '') {
    this.#origin = origin;
    this.#keys = [...keys, `stream:${Math.random().toString(36).slice(2)}`];
    this.lastEventId = lastEventId;
    this.on('worker', ({ pid }) => {
      this.pid = pid;
    });
  }

  /** Listens to an event by its name: the data, and the event itself. */
  on(name, listener) {
    const listeners = this.#listeners.get(name);
    if (listeners !== undefined) listeners.push(listener);
    else {
      this.#listeners.set(name, [listener]);
      this.#source?.addEventListener(name, this.#receive);
    }
    return this;
  }

  onState(listener) {
    this.#onState.push(listener);
    listener(this.state);
    return this;
  }

  open() {
    this.#end();
    this.#become('connecting');
    const query = new URLSearchParams(this.#keys.map((key) => ['connectKey', key]));
    if (this.lastEventId !== '') query.set('lastEventId', this.lastEventId);
    const source = new EventSource(`${this.#origin}/stream?${query}`);
    source.addEventListener('open', () => this.#become('open'));
    source.addEventListener('error', () => {
      this.#become('waiting');
      if (source.readyState === EventSource.CLOSED) this.#timer = setTimeout(() => this.open(), REOPEN_AFTER);
    });
    for (const name of this.#listeners.keys()) source.addEventListener(name, this.#receive);
    this.#source = source;
    return this;
  }

  /** It is somebody else's when it opens next: where the one before was says nothing of what they have heard. */
  beginAnew() {
    this.lastEventId = '';
    this.begun++;
  }

  close() {
    this.#end();
    this.#become('closed');
  }

  #end() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = undefined;
  }

  #receive = (event) => {
    this.lastEventId = event.lastEventId;
    const data = event.data === '' ? undefined : JSON.parse(event.data);
    for (const listener of this.#listeners.get(event.type)) listener(data, event);
  };

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    for (const listener of this.#onState) listener(state);
  }
}
