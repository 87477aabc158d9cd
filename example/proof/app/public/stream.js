import { Stream as PageStream } from '/public/stream.js';

const watchers = [];
const waiting = new Set();
const streams = new Set();
let isPaused = false;

/** Has a function called with each stream that this page makes, and its keys. */
export function watchStreams(watch) {
  watchers.push(watch);
}

/** Cuts all streams of the page. A stream that is opened meanwhile waits. */
export function pause() {
  isPaused = true;
  for (const stream of streams) {
    if (stream.state === 'closed') continue;
    waiting.add(stream);
    stream.cut();
  }
}

/** Opens the streams that wait. */
export function resume() {
  isPaused = false;
  for (const stream of waiting) stream.open();
  waiting.clear();
}

/**
 * A stream of the page that is watched. The scripts of the page make it in place of the app's: see proof/pages.ts.
 *
 * It has a key of its own, by which the server tells it which worker it is on, and how many messages it should have got.
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

  /** Closes it, but not before all that it missed is accounted for. */
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
