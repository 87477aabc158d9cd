import { connect } from '/stream/client.js';

// A stream that was refused for good is tried again after this time, in ms.
const REOPEN_AFTER = 3_000;

/**
 * A stream whose listeners outlive its connections: it can be closed, and opened again where it was, or as somebody else.
 *
 * It is not shared with other tabs: `sse:hello` says who the page is, and a tab that joins a connection late does not hear
 * that.
 */
export class Stream {
  /** The place up to which everything has arrived. */
  lastEventId;
  /** `closed`, `connecting`, `open` or `waiting` to reconnect. */
  state = 'closed';
  #keys;
  #url;
  #source;
  #timer;
  #listeners = new Map();
  #onState = [];

  constructor(keys, { lastEventId = '', url = '/stream' } = {}) {
    this.#keys = keys;
    this.#url = url;
    this.lastEventId = lastEventId;
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
    const source = connect(this.#url, { keys: this.#keys, lastEventId, share: false });
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

  /** Forgets its place, as somebody else opens it next, and the place says nothing of what they have heard. */
  beginAnew() {
    this.lastEventId = '';
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
