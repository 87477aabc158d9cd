import { connect } from '/stream/client.js';

// How long to wait before opening a stream that was refused for good, in ms.
const REOPEN_AFTER = 3_000;

/**
 * A stream of this page alone, that can be closed and opened again where it left off.
 *
 * Each tab of the demo shows the worker that it is on and what it missed, so none of them shares its connection; those of
 * `/tabs` do.
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
      if (this.#source !== undefined) this.#receive(this.#source, name);
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
    const { lastEventId } = this;
    const source = connect(`${this.#origin}/stream`, { keys: this.#keys, lastEventId, share: false });
    source.on('state', ({ state, reason }) => {
      if (state === 'open' || state === 'waiting') this.#become(state);
      if (state !== 'closed') return;
      this.#become('waiting');
      if (reason === 'user') this.beginAnew();
      this.#timer = setTimeout(() => this.open(), reason === 'user' ? 0 : REOPEN_AFTER);
    });
    for (const name of this.#listeners.keys()) this.#receive(source, name);
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

  #receive(source, name) {
    source.on(name === 'sse:gap' ? 'gap' : name, ({ data, lastEventId }) => {
      this.lastEventId = lastEventId;
      const value = data === '' ? undefined : JSON.parse(data);
      for (const listener of this.#listeners.get(name)) listener(value, { type: name, data, lastEventId });
    });
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    for (const listener of this.#onState) listener(state);
  }
}
