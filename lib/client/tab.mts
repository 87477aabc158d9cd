import { Connection, type Asking, type StateChange, type Terms } from './connection.mjs';
import { Holder } from './holder.mjs';
import { lead } from './lead.mjs';
import type { StreamEvent } from './parser.mjs';
import { lockOf, newId, scopeOf, type Channel, type ToHolder, type ToTabs } from './protocol.mjs';
import { Recent } from './recent.mjs';

export type HeadersOf =
  | Record<string, string>
  | ((asking: Asking) => Record<string, string> | Promise<Record<string, string>>);

/** What a tab wants of its connection. */
export interface Wish {
  readonly url: string;
  readonly withCredentials: boolean;
  readonly headers: HeadersOf | undefined;
  /** Whether other tabs may be on the same connection. */
  readonly share: boolean;
  /** The address of the shared worker; false: none. */
  readonly worker: string | false;
  /** The place to begin at. */
  readonly lastEventId: string;
  /** Under which the place outlives a reload; undefined: it does not. */
  readonly memory: string | undefined;
}

export interface TabOwner {
  deliver(event: StreamEvent): void;
  onState(change: StateChange): void;
}

const WORKER_MS = 5_000;
const REMEMBER_MS = 1_000;
// What they say, they say of the connection at that time.
const OF_THE_MOMENT = new Set(['sse:hello', 'sse:bye', 'sse:busy', 'sse:grant']);

/** This tab's end of a connection, its own or one that it shares: its keys, its place, and what is for it. */
export class Tab {
  readonly #wish: Wish;
  readonly #owner: TabOwner;
  #share: boolean;
  #keys: Set<string>;
  #cursor: string;
  #user: string | undefined;
  #id = '';
  /** The holder that has welcomed this tab. */
  #by: string | undefined;
  #recent: Recent | undefined;
  /** Whether the connection does not hold its keys yet. */
  #isEarly = false;
  /** Ids of what a new holder brings again. */
  #seen = new Set<string>();
  #channel: Channel | undefined;
  #identity: Connection | undefined;
  #life: AbortController | undefined;
  #rememberedAt = 0;

  constructor(wish: Wish, keys: Iterable<string>, owner: TabOwner) {
    this.#wish = wish;
    this.#keys = new Set(keys);
    this.#owner = owner;
    this.#cursor = wish.lastEventId;
    const { BroadcastChannel, SharedWorker, navigator } = globalThis;
    const canShare = BroadcastChannel !== undefined && (navigator.locks ?? (wish.worker !== false && SharedWorker));
    this.#share = wish.share && Boolean(canShare);
  }

  get lastEventId(): string {
    return this.#cursor;
  }

  get keys(): ReadonlySet<string> {
    return this.#keys;
  }

  setKeys(keys: Iterable<string>): void {
    this.#keys = new Set(keys);
    if (this.#by !== undefined) this.#say({ do: 'keys', from: this.#id, keys: [...this.#keys] });
  }

  wake(): void {
    this.#identity?.wake();
    this.#say({ do: 'wake' });
  }

  /** Finds its connection. Safe to call again. */
  async attach(): Promise<void> {
    if (this.#life !== undefined) return;
    const life = new AbortController();
    this.#life = life;
    const memory = this.#cursor === this.#wish.lastEventId ? this.#recall() : undefined;
    if (this.#share || memory !== undefined) {
      this.#user = await this.#identify(life.signal);
      if (life.signal.aborted) return;
    }
    if (memory !== undefined && memory[0] === this.#user) this.#cursor = memory[1]!;
    this.#id = newId();
    const { url, withCredentials } = this.#wish;
    const terms: Terms = { url, withCredentials, user: this.#user };
    if (this.#share) await this.#attachShared(terms, life.signal);
    else this.#attachOwn(terms, life.signal);
  }

  /** Lets go of its connection, in a way that it can be found again. */
  detach(): void {
    this.remember();
    this.#say({ do: 'leave', from: this.#id });
    this.#life?.abort();
    this.#life = this.#by = undefined;
  }

  /** Keeps its place for the time after a reload. */
  remember(): void {
    const { memory } = this.#wish;
    if (memory === undefined || this.#by === undefined) return;
    this.#rememberedAt = performance.now();
    try {
      sessionStorage.setItem(memory, JSON.stringify([this.#user, this.#cursor]));
    } catch {
      // A page may have no storage, or a full one: then a reload begins anew.
      this.#rememberedAt = Number.POSITIVE_INFINITY;
    }
  }

  forget(): void {
    this.detach();
    try {
      sessionStorage.removeItem(this.#wish.memory ?? '');
    } catch {
      // As above.
    }
  }

  #recall(): [user: string, cursor: string] | undefined {
    try {
      return JSON.parse(sessionStorage.getItem(this.#wish.memory ?? '')!) ?? undefined;
    } catch {
      return undefined;
    }
  }

  #attachOwn(terms: Terms, signal: AbortSignal): void {
    const { port1, port2 } = new MessageChannel();
    this.#listen(port2, signal);
    const holder = new Holder(terms, port1);
    signal.addEventListener('abort', () => holder.stop());
  }

  async #attachShared(terms: Terms, signal: AbortSignal): Promise<void> {
    const { locks } = navigator;
    // The holder waits for it to learn that this tab is gone.
    if (locks !== undefined) {
      await new Promise<void>((resolve) => {
        const whileAlive = (): Promise<void> => {
          resolve();
          return new Promise((free) => signal.addEventListener('abort', () => free()));
        };
        locks.request(lockOf(this.#id), whileAlive).catch(resolve);
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
      if (locks === undefined) this.#part();
      else lead(scope, () => this.#recent, signal);
    };
    const { worker } = this.#wish;
    if (worker === false || globalThis.SharedWorker === undefined) return leadToo();
    try {
      new SharedWorker(worker, { type: 'module', name: scope }).addEventListener('error', leadToo);
      const timer = setTimeout(leadToo, WORKER_MS);
      signal.addEventListener('abort', () => clearTimeout(timer));
    } catch {
      // Forbidden by the page's Content-Security-Policy.
      leadToo();
    }
  }

  /** Resolves with who this browser is. */
  #identify(signal: AbortSignal): Promise<string> {
    return new Promise((resolve) => {
      const identity = new Connection(this.#wish, {
        headers: (asking) => this.#headers(asking),
        onState: (change) => this.#owner.onState(change),
        onUser: resolve,
      });
      this.#identity = identity;
      signal.addEventListener('abort', () => identity.close());
      identity.identify();
    });
  }

  #listen(channel: Channel, signal: AbortSignal): void {
    this.#channel = channel;
    channel.onmessage = ({ data }) => this.#hear(data as ToTabs);
    signal.addEventListener('abort', () => {
      channel.close();
      this.#channel = undefined;
    });
  }

  #say(message: ToHolder): void {
    this.#channel?.postMessage(message);
  }

  #join(at = this.#cursor): void {
    const { headers } = this.#wish;
    this.#say({ do: 'join', from: this.#id, keys: [...this.#keys], at, hasHeaders: headers !== undefined });
  }

  #hear(message: ToTabs): void {
    const { say, by } = message;
    if (say === 'lead') {
      this.#by = undefined;
      const again = this.#recent?.rewind(message.at);
      this.#seen = new Set(again?.map(({ lastEventId }) => lastEventId));
      this.#join(again === undefined ? this.#cursor : message.at);
    } else if (say === 'welcome') {
      if (message.to === this.#id) this.#settle(message);
    } else if (by !== this.#by) {
      // One that has not welcomed this tab, or is gone.
    } else if (say === 'events') {
      for (const event of message.events) this.#take(event);
      if (performance.now() - this.#rememberedAt > REMEMBER_MS) this.remember();
    } else if (say === 'held') {
      this.#recent?.hold(message.keys);
      this.#isEarly &&= !this.#areIn(message.keys);
    } else if (say === 'state') this.#become(message.change);
    else if (say === 'part') this.#part();
    else if (message.to === this.#id) void this.#answer(message.asking);
  }

  #settle({ by, at, held, events, missed, change }: Extract<ToTabs, { say: 'welcome' }>): void {
    this.#by = by;
    if (this.#recent?.cursor === at) this.#recent.hold(held);
    else this.#recent = new Recent(at, held);
    if (this.#cursor === '' || missed.length > 0) this.#cursor = at;
    this.#isEarly = !this.#areIn(held);
    this.#become(change);
    if (missed.length > 0) {
      const data = JSON.stringify({ reason: 'unknown', keys: missed });
      this.#owner.deliver({ type: 'sse:gap', data, lastEventId: this.#cursor });
    }
    for (const event of events) this.#take(event, true);
    // Keys that came or went while it waited.
    this.setKeys(this.#keys);
  }

  #take(event: StreamEvent, isLate = false): void {
    this.#recent!.push(event);
    if (this.#seen.delete(event.lastEventId) || (isLate && OF_THE_MOMENT.has(event.type))) return;
    this.#cursor = event.lastEventId;
    if (event.type === 'sse:hello') {
      this.#user ??= (JSON.parse(event.data) as { user?: string }).user ?? '';
      this.#become({ state: 'open' });
    }
    const theirs = event.type === 'sse:gap' ? this.#ownGap(event) : event;
    if (theirs.keys?.every((key) => !key.startsWith('@') && !this.#keys.has(key)) !== true) this.#owner.deliver(theirs);
  }

  #areIn(held: readonly string[]): boolean {
    return [...this.#keys].every((key) => held.includes(key));
  }

  /** What a gap of the connection is to this tab. */
  #ownGap(event: StreamEvent): StreamEvent {
    const gap = JSON.parse(event.data) as { keys: string[] };
    const keys = gap.keys.filter((key) => key.startsWith('@') || this.#keys.has(key));
    return { ...event, data: JSON.stringify({ ...gap, keys }), keys };
  }

  #become(change: StateChange): void {
    if (change.state === 'closed') this.detach();
    if (change.state === 'open' && this.#isEarly) change = { state: 'connecting' };
    this.#owner.onState(change);
  }

  /** Goes on with a connection of its own. */
  #part(): void {
    this.detach();
    this.#share = false;
    void this.attach();
  }

  async #answer(asking: Asking): Promise<void> {
    this.#say({ do: 'headers', from: this.#id, headers: (await this.#headers(asking)) ?? {} });
  }

  /** Its own headers; undefined: there are none, or they were refused and are always the same. */
  async #headers(asking: Asking): Promise<Record<string, string> | undefined> {
    const { headers } = this.#wish;
    if (typeof headers === 'function') return headers(asking);
    return asking.status === undefined ? headers : undefined;
  }
}
