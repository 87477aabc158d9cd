import type { Asking, State, StateChange } from './connection.mjs';
import type { StreamEvent } from './parser.mjs';
import { Tab, type HeadersOf, type Wish } from './tab.mjs';

/** An event of a stream; `type` is its name, `message` if it has none. */
export interface SseEvent {
  readonly type: string;
  readonly data: string;
  readonly lastEventId: string;
}

/** The server does not keep any more what this page has missed. */
export interface SseGapEvent extends SseEvent {
  readonly type: 'gap';
  readonly reason: string;
  /** Those of the page's keys that it may concern; `@…` are the server's own. */
  readonly keys: readonly string[];
}

/** The connection is in another state. */
export interface SseStateEvent extends StateChange {
  readonly type: 'state';
}

export interface SseEventMap {
  gap: SseGapEvent;
  state: SseStateEvent;
}

export interface ConnectOptions {
  /** What to listen to. Left out: only what is published to everyone. */
  readonly keys?: string | readonly string[];
  /** Headers of each request, or what returns them: asked before each connect and, with `status: 401`, when they were refused. */
  readonly headers?:
    | Record<string, string>
    | ((asking: Asking) => Record<string, string> | Promise<Record<string, string>>);
  /** Whether cookies go to another origin. Left out: no. */
  readonly withCredentials?: boolean;
  /** Whether the tabs of this browser may share one connection. Left out: yes. */
  readonly share?: boolean;
  /** Where `client.js` is served, for the shared worker; it must be of the page's own origin. Left out: `{url}/client.js`. false: no shared worker. */
  readonly worker?: string | URL | false;
  /** Begin after this event instead of now, on a connection of the tab's own. */
  readonly lastEventId?: string;
}

type Listener<E> = (event: E) => void;

// Of these each page wants all, from the start.
const FROM_THE_START = 'run:';

/** A page's stream, whoever carries it. */
export class Sse {
  readonly #wish: Wish;
  readonly #listeners = new Map<string, Set<Listener<never>>>();
  /** By what is alone on a connection; '' for all the rest. */
  readonly #tabs = new Map<string, { tab: Tab; state: State }>();
  readonly #over = new AbortController();

  constructor(url: string | URL, options: ConnectOptions = {}) {
    const { keys = [], headers, withCredentials = false, lastEventId = '', share = lastEventId === '' } = options;
    const stream = new URL(url, document.baseURI);
    const script = new URL(stream);
    script.pathname = `${stream.pathname.replace(/\/$/, '')}/client.js`;
    script.search = '';
    const { worker = script.origin === location.origin ? script : false } = options;
    const first = typeof keys === 'string' ? [keys] : [...keys];
    this.#wish = {
      url: stream.href,
      withCredentials,
      headers: headers as HeadersOf | undefined,
      share,
      worker: worker && new URL(worker, document.baseURI).href,
      lastEventId,
      memory: `egg-sse ${JSON.stringify([stream.href, ...first.filter(isShared).sort(), lastEventId])}`,
    };
    const { signal } = this.#over;
    const wake = (): void => {
      for (const { tab } of this.#tabs.values()) {
        if (document.hidden) tab.remember();
        else tab.wake();
      }
    };
    addEventListener('online', wake, { signal });
    document.addEventListener('visibilitychange', wake, { signal });
    addEventListener('pagehide', () => this.#each((tab) => tab.detach()), { signal });
    // Out of the back/forward cache.
    addEventListener('pageshow', ({ persisted }) => persisted && this.#each((tab) => void tab.attach()), { signal });
    this.add(...first);
    // The code that called connect() says in the same breath what it listens to.
    if (this.#tabs.size === 0) this.#open('', []);
  }

  /** `connecting`, `open`, `waiting` to come back, or `closed` for good. */
  get state(): State {
    const states = [...this.#tabs.values()].map(({ state }) => state).filter((state) => state !== 'closed');
    return states.find((state) => state !== 'open') ?? states[0] ?? 'closed';
  }

  /** The place up to which this page has everything. */
  get lastEventId(): string {
    return this.#tabs.get('')?.tab.lastEventId ?? '';
  }

  /** Listens to events of a name; `message` are those without one. */
  on<K extends keyof SseEventMap>(type: K, listener: Listener<SseEventMap[K]>): this;
  on(type: string, listener: Listener<SseEvent>): this;
  on(type: string, listener: Listener<never>): this {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
    return this;
  }

  /** Takes a listener away. */
  off<K extends keyof SseEventMap>(type: K, listener: Listener<SseEventMap[K]>): this;
  off(type: string, listener: Listener<SseEvent>): this;
  off(type: string, listener: Listener<never>): this {
    this.#listeners.get(type)?.delete(listener);
    return this;
  }

  /** Listens to more keys, from now on. */
  add(...keys: string[]): this {
    for (const key of keys.filter((key) => !isShared(key))) if (!this.#tabs.has(key)) this.#open(key, [key]);
    const shared = keys.filter(isShared);
    if (shared.length > 0) this.#hold((held) => [...held, ...shared]);
    return this;
  }

  /** Listens to some keys no more. */
  remove(...keys: string[]): this {
    for (const key of keys.filter((key) => !isShared(key))) {
      this.#tabs.get(key)?.tab.forget();
      this.#tabs.delete(key);
    }
    if (this.#tabs.has('')) this.#hold((held) => held.filter((key) => !keys.includes(key)));
    return this;
  }

  /** Ends it for this page. */
  close(): void {
    this.#over.abort();
    this.#each((tab) => tab.forget());
    const { state } = this;
    this.#tabs.clear();
    if (state !== 'closed') this.#emit('state', { type: 'state', state: 'closed', reason: 'close' });
    this.#listeners.clear();
  }

  #each(act: (tab: Tab) => void): void {
    for (const { tab, state } of this.#tabs.values()) if (state !== 'closed') act(tab);
  }

  #hold(change: (held: string[]) => string[]): void {
    const held = this.#tabs.get('')?.tab;
    if (held === undefined) this.#open('', change([]));
    else held.setKeys(change([...held.keys]));
  }

  #open(name: string, keys: string[]): void {
    if (this.#over.signal.aborted) return;
    const isAlone = name !== '';
    const wish = isAlone ? { ...this.#wish, share: false, memory: undefined, lastEventId: '' } : this.#wish;
    const entry: { tab: Tab; state: State } = {
      state: 'connecting',
      tab: new Tab(wish, keys, {
        deliver: (event) => this.#deliver(event),
        onState: (change) => {
          if (this.#tabs.get(name) !== entry) return;
          const before = this.state;
          entry.state = change.state;
          const isNews = this.state !== before || change.state === 'closed' || change.state === 'waiting';
          if (isNews) this.#emit('state', { type: 'state', ...change });
        },
      }),
    };
    this.#tabs.set(name, entry);
    queueMicrotask(() => this.#tabs.get(name) === entry && void entry.tab.attach());
  }

  #deliver({ type, data, lastEventId }: StreamEvent): void {
    if (type !== 'sse:gap') return this.#emit(type, { type, data, lastEventId });
    const { reason, keys } = JSON.parse(data) as { reason: string; keys: string[] };
    this.#emit('gap', { type: 'gap', data, lastEventId, reason, keys });
  }

  #emit(type: string, event: object): void {
    for (const listener of this.#listeners.get(type) ?? []) {
      try {
        listener(event as never);
      } catch (error) {
        // As of an EventSource: it is the page's error, and the other listeners are told.
        reportError(error);
      }
    }
  }
}

function isShared(key: string): boolean {
  return !key.startsWith(FROM_THE_START);
}

/**
 * Opens a page's stream: one connection for all tabs of a browser that are the same user, which comes back by itself to
 * where it was.
 */
export function connect(url: string | URL, options?: ConnectOptions): Sse {
  return new Sse(url, options);
}
