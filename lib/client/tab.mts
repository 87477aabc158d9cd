import { Connection, type Asking, type State, type StateChange, type Terms } from './connection.mjs';
import { lead } from './lead.mjs';
import { Leader } from './leader.mjs';
import type { StreamEvent } from './parser.mjs';
import { newName, scopeOf, type Channel, type ToLeader, type ToTabs } from './protocol.mjs';
import { Recent } from './recent.mjs';

/** Headers of requests, or a function that is asked for them. */
export type HeadersOf =
  | Record<string, string>
  | ((asking: Asking) => Record<string, string> | Promise<Record<string, string>>);

/** The wishes of a tab for its connection. */
export interface Wish {
  readonly url: string;
  readonly withCredentials: boolean;
  readonly headers: HeadersOf | undefined;
  /** Whether other tabs may be on the same connection. */
  readonly share: boolean;
  /** The URL of the shared worker; false: none. */
  readonly worker: string | false;
  /** The id to begin after. */
  readonly lastEventId: string;
  /** The name under which the place outlives a reload; '': it does not. */
  readonly memory: string;
}

const WORKER_MS = 5_000;
const REMEMBER_MS = 1_000;
// Events about the connection at one time: not for a tab that comes later.
const OF_THE_MOMENT = /^sse:(hello|bye|busy|grant)$/;

/** This tab's end of a connection, its own or one that it shares: its keys, its place, and what is for it. */
export class Tab {
  readonly #wish: Wish;
  readonly #tell: (event: Event) => void;
  state: State = 'connecting';
  #share: boolean;
  keys: ReadonlySet<string>;
  /** The id up to which it has everything. */
  lastEventId: string;
  #user: string | undefined;
  #id = '';
  /** The leader that has welcomed this tab. */
  #by: string | undefined;
  #recent: Recent | undefined;
  /** Whether the connection does not hold its keys yet. */
  #isEarly = false;
  /** Ids of events that a new leader brings again. */
  #seen = new Set<string>();
  #channel: Channel | undefined;
  #identity: Connection | undefined;
  #life: AbortController | undefined;
  #rememberedAt = 0;

  constructor(wish: Wish, keys: Iterable<string>, tell: (event: Event) => void) {
    this.#wish = wish;
    this.keys = new Set(keys);
    this.#tell = tell;
    this.lastEventId = wish.lastEventId;
    this.#share = wish.share;
  }

  setKeys(keys: Iterable<string>): void {
    this.keys = new Set(keys);
    if (this.#by) this.#say({ do: 'keys', from: this.#id, keys: [...this.keys] });
  }

  wake(): void {
    this.#identity?.wake();
    this.#say({ do: 'wake' });
  }

  /** Finds its connection. Safe to call twice. */
  async attach(): Promise<void> {
    if (this.#life) return;
    const life = new AbortController();
    this.#life = life;
    if (this.#share) this.#user = await this.#identify(life.signal);
    if (life.signal.aborted) return;
    this.lastEventId = this.#inMemory((storage, name) => storage.getItem(name)) ?? this.lastEventId;
    this.#id = newName();
    const { url, withCredentials } = this.#wish;
    const terms: Terms = { url, withCredentials, user: this.#user };
    if (this.#share) await this.#attachShared(terms, life.signal).catch(() => this.#part());
    else this.#attachOwn(terms, life.signal);
  }

  /** Leaves its connection, such that `attach` finds it again. */
  detach(): void {
    this.remember();
    this.#say({ do: 'leave', from: this.#id });
    this.#life?.abort();
    this.#life = this.#by = undefined;
  }

  /** Remembers its place for after a reload. */
  remember(): void {
    if (!this.#by) return;
    this.#rememberedAt = performance.now();
    this.#inMemory((storage, name) => storage.setItem(name, this.lastEventId));
  }

  forget(): void {
    this.detach();
    this.#inMemory((storage, name) => storage.removeItem(name));
  }

  #inMemory<T>(act: (storage: Storage, name: string) => T): T | undefined {
    const { memory } = this.#wish;
    try {
      if (memory) return act(sessionStorage, `${memory} ${this.#user}`);
    } catch {
      // A page may have no storage, or a full one: then a reload begins anew.
    }
    return undefined;
  }

  #attachOwn(terms: Terms, signal: AbortSignal): void {
    const { port1, port2 } = new MessageChannel();
    this.#listen(port2, signal);
    const leader = new Leader(terms, port1);
    signal.addEventListener('abort', () => leader.stop());
  }

  async #attachShared(terms: Terms, signal: AbortSignal): Promise<void> {
    const { locks } = navigator;
    if (locks) {
      // The leader waits for this lock, to learn that the tab is gone.
      await new Promise<void>((resolve, reject) => {
        const whileAttached = (): Promise<void> => {
          resolve();
          return new Promise((free) => signal.addEventListener('abort', () => free()));
        };
        locks.request(this.#id, whileAttached).catch(reject);
      });
      if (signal.aborted) return;
    }
    const scope = scopeOf(terms);
    this.#listen(new BroadcastChannel(scope), signal);
    this.#join();
    let isLeading = false;
    const leadToo = (): void => {
      if (isLeading || signal.aborted) return;
      isLeading = true;
      if (locks) lead(scope, () => this.#recent, signal);
      else if (!this.#by) this.#part();
    };
    const { worker } = this.#wish;
    if (!worker) return leadToo();
    try {
      new SharedWorker(worker, { type: 'module', name: scope }).addEventListener('error', leadToo);
      // This tab stands by for the lead: the worker may die, or never come.
      setTimeout(leadToo, WORKER_MS);
    } catch {
      // The browser has none, or the page's Content-Security-Policy forbids it.
      leadToo();
    }
  }

  /** Resolves with the user of this browser. */
  #identify(signal: AbortSignal): Promise<string> {
    return new Promise((resolve) => {
      const identity = new Connection(this.#wish, {
        headers: (asking) => this.#headers(asking),
        onState: (change) => (change.state === 'open' ? resolve(change.user!) : this.#become(change)),
      });
      this.#identity = identity;
      signal.addEventListener('abort', () => identity.close());
      identity.identify();
    });
  }

  #listen(channel: Channel, signal: AbortSignal): void {
    this.#channel = channel;
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- a port is started by that alone
    channel.onmessage = ({ data }) => this.#hear(data as ToTabs);
    signal.addEventListener('abort', () => {
      channel.close();
      this.#channel = undefined;
    });
  }

  #say(message: ToLeader): void {
    this.#channel?.postMessage(message);
  }

  #join(at = this.lastEventId): void {
    const { headers } = this.#wish;
    this.#say({ do: 'join', from: this.#id, keys: [...this.keys], at, hasHeaders: !!headers });
  }

  #hear(message: ToTabs): void {
    const { say, by } = message;
    if (say === 'lead') {
      this.#by = undefined;
      const { at } = message;
      const again = this.#recent?.after(at);
      const isBehind = again?.at === at;
      this.#seen = new Set(isBehind ? again.events.map(({ lastEventId }) => lastEventId) : []);
      this.#join(isBehind ? at : this.lastEventId);
    } else if (say === 'welcome') {
      if (message.to === this.#id) this.#onWelcome(message);
    } else if (by !== this.#by) {
      // It is of a leader that has not welcomed this tab, or is gone.
    } else if (say === 'events') {
      for (const event of message.events) this.#receive(event);
      if (performance.now() - this.#rememberedAt > REMEMBER_MS) this.remember();
    } else if (say === 'held') {
      this.#recent?.hold(message.keys);
      this.#isEarly &&= !this.#areIn(message.keys);
    } else if (say === 'state') this.#become(message.change);
    else if (say === 'part') this.#part();
    else if (message.to === this.#id) void this.#answer(message.asking);
  }

  #onWelcome({ by, at, held, events, missed, change }: Extract<ToTabs, { say: 'welcome' }>): void {
    this.#by = by;
    if (this.#recent?.cursor === at) this.#recent.hold(held);
    else this.#recent = new Recent(at, held);
    if (this.lastEventId === '' || missed.length > 0) this.lastEventId = at;
    this.#isEarly = !this.#areIn(held);
    this.#become(change);
    this.#deliverGap(at, 'unknown', missed);
    for (const event of events) this.#receive(event, true);
    // Keys may have come or gone while it waited.
    this.setKeys(this.keys);
  }

  #receive(event: StreamEvent, isLate = false): void {
    this.#recent!.push(event);
    if (this.#seen.delete(event.lastEventId)) return;
    this.lastEventId = event.lastEventId;
    if (isLate && OF_THE_MOMENT.test(event.type)) return;
    if (event.type === 'sse:hello') this.#become({ state: 'open' });
    const isFor = (key: string): boolean => key.startsWith('@') || this.keys.has(key);
    if (event.type === 'sse:gap') {
      const { reason, keys } = JSON.parse(event.data) as { reason: string; keys: string[] };
      this.#deliverGap(event.lastEventId, reason, keys.filter(isFor));
    } else if (event.keys?.some(isFor) !== false) this.#deliver(event);
  }

  #deliver({ type, data, lastEventId }: StreamEvent, more?: object): void {
    this.#tell(Object.assign(new MessageEvent(type, { data, lastEventId }), more));
  }

  #deliverGap(lastEventId: string, reason: string, keys: readonly string[]): void {
    const gap = { reason, keys };
    if (keys.length > 0) this.#deliver({ type: 'gap', data: JSON.stringify(gap), lastEventId }, gap);
  }

  #areIn(held: readonly string[]): boolean {
    return [...this.keys].every((key) => held.includes(key));
  }

  #become(change: StateChange): void {
    if (change.state === 'closed') this.detach();
    if (change.state === 'open' && this.#isEarly) change = { state: 'connecting' };
    if (change.state === this.state && !change.reason) return;
    this.state = change.state;
    this.#tell(Object.assign(new Event('state'), change));
  }

  /** Parts from the other tabs: goes on with a connection of its own. */
  #part(): void {
    this.detach();
    this.#share = false;
    void this.attach();
  }

  async #answer(asking: Asking): Promise<void> {
    this.#say({ do: 'headers', from: this.#id, headers: await this.#headers(asking) });
  }

  /** The tab's own headers; undefined when there are none, or when they were refused and do not change. */
  async #headers(asking: Asking): Promise<Record<string, string> | undefined> {
    const { headers } = this.#wish;
    if (typeof headers === 'function') return headers(asking);
    return asking.status ? undefined : headers;
  }
}
