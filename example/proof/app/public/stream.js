import { Stream as PageStream } from '/public/stream.js';

const watchers = [];
const waiting = new Set();
const streams = new Set();
let isPaused = false;

/** Takes what is to watch each stream that this page makes: it is given the stream and its keys. */
export function watchStreams(watch) {
  watchers.push(watch);
}

/** Cuts all streams of the page. Those that are opened meanwhile wait. */
export function pause() {
  isPaused = true;
  for (const stream of streams) {
    if (stream.state === 'closed') continue;
    waiting.add(stream);
    stream.cut();
  }
}

/** Opens them again. */
export function resume() {
  isPaused = false;
  for (const stream of waiting) stream.open();
  waiting.clear();
}

/**
 * A stream of the page that can be watched. The page's own scripts make them in place of its streams: see proof/pages.ts.
 *
 * It has a key of its own, to which the server says which worker it is on, and how many messages it should have got.
 */
export class Stream extends PageStream {
  /** The worker it is on or was last on. */
  pid;
  /** How often it was begun anew. */
  begun = 0;
  #isOver = false;
  #isAccountedFor = false;

  constructor(keys, options) {
    super([...keys, `stream:${Math.random().toString(36).slice(2)}`], options);
    streams.add(this);
    this.on('worker', ({ pid }) => {
      this.pid = pid;
    });
    this.on('sse:hello', () => {
      this.#isAccountedFor = false;
    });
    this.on('ledger', () => {
      this.#isAccountedFor = true;
      if (this.#isOver) this.cut();
    });
    for (const watch of watchers) watch(this, keys);
  }

  open() {
    this.#isOver = false;
    streams.add(this);
    if (isPaused) waiting.add(this);
    else super.open();
    return this;
  }

  beginAnew() {
    super.beginAnew();
    this.begun++;
  }

  /** Where it ends among what was missed, it stays until that is accounted for. */
  close() {
    this.#isOver = true;
    streams.delete(this);
    waiting.delete(this);
    if (this.#isAccountedFor) this.cut();
  }

  /** Closes it at once, to be opened again. */
  cut() {
    super.close();
  }
}
