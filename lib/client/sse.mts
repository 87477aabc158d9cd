import type { State, StateChange } from './connection.mjs';
import { Tab, type HeadersOf, type Wish } from './tab.mjs';

/** An event of a stream, as of an `EventSource`; `type` is its name, `message` if it has none. */
export interface SseEvent extends Event {
  readonly data: string;
  readonly lastEventId: string;
}

/** Tells that the server no longer keeps messages that this page has missed. */
export interface SseGapEvent extends SseEvent {
  readonly reason: string;
  /** The keys of the page that it may concern; `@…` are the server's own. */
  readonly keys: readonly string[];
}

/** Tells that the stream is in another state. */
export interface SseStateEvent extends Event, StateChange {}

/** The events that are not the server's. */
export interface SseEventMap {
  gap: SseGapEvent;
  state: SseStateEvent;
}

/** Options of `connect`. */
export interface ConnectOptions {
  /** The keys to listen to. Left out: none, only messages that are published to all. */
  readonly keys?: string | readonly string[];
  /** Headers of each request, or a function: called before each connect and, with `status: 401`, after a refusal. */
  readonly headers?: HeadersOf;
  /** Whether cookies go to another origin. Left out: no. */
  readonly withCredentials?: boolean;
  /** Whether the tabs of this browser may share one connection. Left out: yes. */
  readonly share?: boolean;
  /** The URL of the shared worker, of the page's own origin. Left out: `{url}/client.js`. false: no shared worker. */
  readonly worker?: string | URL | false;
  /** The event after which to begin, on a connection of the tab's own. Left out: now. */
  readonly lastEventId?: string;
}

/**
 * Opens a page's stream: one connection for all tabs of a browser that have the same user. It comes back by itself to
 * its last event id.
 */
export function connect(url: string | URL, options?: ConnectOptions): Sse {
  return new Sse(url, options);
}

type Listener<E> = (event: E) => void;

// Each page reads a run from its start, so that a run's key is alone on a connection.
const FROM_THE_START = 'run:';

/** A page's stream, by one connection or several, which may be shared with other tabs. */
export class Sse extends EventTarget {
  readonly #wish: Wish;
  /** By the key that is alone on a connection; null: all other keys. */
  readonly #tabs = new Map<string | null, Tab>();
  readonly #over = new AbortController();

  constructor(url: string | URL, options: ConnectOptions = {}) {
    super();
    const { keys = [], headers, withCredentials = false, lastEventId = '', share = lastEventId === '' } = options;
    const stream = new URL(url, document.baseURI);
    const script = new URL(`${stream.pathname.replace(/\/$/, '')}/client.js`, stream);
    const { worker = script.origin === location.origin && script } = options;
    const first = [keys].flat();
    this.#wish = {
      url: stream.href,
      withCredentials,
      headers,
      share,
      worker: worker && new URL(worker, document.baseURI).href,
      lastEventId,
      memory: ['egg-sse', stream, lastEventId, ...first.filter(isShared).sort()].join(' '),
    };
    const { signal } = this.#over;
    const wake = (): void => this.#each((tab) => (document.hidden ? tab.remember() : tab.wake()));
    addEventListener('online', wake, { signal });
    addEventListener('visibilitychange', wake, { signal });
    addEventListener('pagehide', () => this.#each((tab) => tab.detach()), { signal });
    // The page comes back from the back/forward cache.
    addEventListener('pageshow', () => this.#each((tab) => void tab.attach()), { signal });
    this.add(...first);
    if (this.#tabs.size === 0) this.#open(null, []);
  }

  /** `connecting`, `open`, `waiting` to come back, or `closed` for good. */
  get state(): State {
    return this.#main?.state ?? 'closed';
  }

  /** The id up to which this page has everything. */
  get lastEventId(): string {
    return this.#main?.lastEventId ?? '';
  }

  /** Listens to the events of a name; `message`: the events without one. */
  on<K extends keyof SseEventMap>(type: K, listener: Listener<SseEventMap[K]>): this;
  on(type: string, listener: Listener<SseEvent>): this;
  on(type: string, listener: Listener<never>): this {
    this.addEventListener(type, listener as Listener<Event>);
    return this;
  }

  /** Removes a listener. */
  off<K extends keyof SseEventMap>(type: K, listener: Listener<SseEventMap[K]>): this;
  off(type: string, listener: Listener<SseEvent>): this;
  off(type: string, listener: Listener<never>): this {
    this.removeEventListener(type, listener as Listener<Event>);
    return this;
  }

  /** Listens to more keys, from now on. */
  add(...keys: string[]): this {
    const shared = keys.filter(isShared);
    const tab = this.#tabs.get(null);
    if (tab) tab.setKeys([...tab.keys, ...shared]);
    else if (shared[0]) this.#open(null, shared);
    for (const key of keys) if (!isShared(key) && !this.#tabs.has(key)) this.#open(key, [key]);
    return this;
  }

  /** Listens to some keys no more. */
  remove(...keys: string[]): this {
    const tab = this.#tabs.get(null);
    tab?.setKeys([...tab.keys].filter((key) => !keys.includes(key)));
    for (const key of keys) {
      this.#tabs.get(key)?.forget();
      this.#tabs.delete(key);
    }
    return this;
  }

  /** Ends the stream for this page. */
  close(): void {
    this.#over.abort();
    this.#each((tab) => tab.forget());
    this.#tabs.clear();
  }

  get #main(): Tab | undefined {
    return this.#tabs.get(null) ?? this.#tabs.values().next().value;
  }

  #each(act: (tab: Tab) => void): void {
    for (const tab of this.#tabs.values()) if (tab.state !== 'closed') act(tab);
  }

  #open(name: string | null, keys: string[]): void {
    if (this.#over.signal.aborted) return;
    const wish = name === null ? this.#wish : { ...this.#wish, share: false, memory: '', lastEventId: '' };
    const tab = new Tab(wish, keys, (event) => this.#tabs.get(name) === tab && this.dispatchEvent(event));
    this.#tabs.set(name, tab);
    void tab.attach();
  }
}

function isShared(key: string): boolean {
  return !key.startsWith(FROM_THE_START);
}
