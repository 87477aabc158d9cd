import { Connection, type Asking, type StateChange, type Terms } from './connection.mjs';
import type { StreamEvent } from './parser.mjs';
import { lockOf, newId, type Channel, type ToHolder, type ToTabs } from './protocol.mjs';
import { Recent } from './recent.mjs';

interface Tab {
  keys: readonly string[];
  readonly hasHeaders: boolean;
  /** It has gone; its keys stay for a moment, in case that it was only reloaded. */
  leaving?: ReturnType<typeof setTimeout>;
}

const SETTLE_MS = 10;
const LINGER_MS = 5_000;
const ASK_MS = 5_000;

type Say<Message> = Message extends unknown ? Omit<Message, 'by'> : never;

/** Holds one connection for all tabs on a channel: with the keys of all of them, for as long as there are any. */
export class Holder {
  readonly #id = newId();
  readonly #channel: Channel;
  readonly #connection: Connection;
  readonly #over = new AbortController();
  readonly #tabs = new Map<string, Tab>();
  #recent: Recent;
  #isOpen: boolean;
  #change: StateChange = { state: 'connecting' };
  #settling: ReturnType<typeof setTimeout> | undefined;
  #answer: ((headers: Record<string, string> | undefined) => void) | undefined;

  /** `recent`: what this connection has brought so far, of one that takes over. */
  constructor(terms: Terms, channel: Channel, recent?: Recent) {
    this.#channel = channel;
    this.#recent = recent?.copy() ?? new Recent('');
    this.#isOpen = recent !== undefined;
    this.#connection = new Connection(terms, {
      headers: (asking) => this.#headers(asking),
      onState: (change) => this.#become(change),
      onEvents: (events) => this.#relay(events),
    });
    channel.onmessage = ({ data }) => this.#hear(data as ToHolder);
    this.#say({ say: 'lead', at: this.#recent.cursor });
    if (recent === undefined) return;
    const { keys, cursor } = this.#recent;
    this.#connection.open(keys, [], cursor);
    // In place of those that lived with the holder before: they join in a moment, if they live.
    this.#tabs.set('', { keys, hasHeaders: false });
    this.#leave('');
  }

  stop(): void {
    this.#over.abort();
    clearTimeout(this.#settling);
    for (const { leaving } of this.#tabs.values()) clearTimeout(leaving);
    this.#connection.close();
    this.#channel.close();
  }

  #say(message: Say<ToTabs>): void {
    this.#channel.postMessage({ by: this.#id, ...message });
  }

  #hear(message: ToHolder): void {
    if (message.do === 'join') this.#join(message);
    else if (message.do === 'leave') this.#leave(message.from);
    else if (message.do === 'wake') this.#connection.wake();
    else if (message.do === 'headers') this.#answer?.(message.headers);
    else if (message.do === 'keys') {
      const tab = this.#tabs.get(message.from);
      if (tab === undefined) return;
      tab.keys = message.keys;
      this.#settleSoon(SETTLE_MS);
    }
  }

  #join({ from, keys, at, hasHeaders }: Extract<ToHolder, { do: 'join' }>): void {
    const isKnown = this.#tabs.has(from);
    this.#tabs.set(from, { keys, hasHeaders });
    if (!isKnown) {
      const { signal } = this.#over;
      // Granted when the tab is gone, however it went.
      const watched = globalThis.navigator?.locks?.request(lockOf(from), { signal }, () => this.#leave(from));
      watched?.catch(() => undefined);
    }
    const isFirst = !this.#isOpen;
    if (isFirst) this.#recent = new Recent(at, keys);
    const found = at === '' ? { events: [], missed: [] } : this.#recent.after(at, keys);
    this.#say({
      say: 'welcome',
      to: from,
      at: found === undefined || at === '' ? this.#recent.cursor : at,
      held: this.#recent.keys,
      events: found?.events ?? [],
      missed: found?.missed ?? (keys.length > 0 ? keys : ['@all']),
      change: this.#change,
    });
    this.#isOpen = true;
    if (isFirst) this.#connection.open(keys, [], at);
    else this.#settleSoon(SETTLE_MS);
  }

  #leave(from: string): void {
    const tab = this.#tabs.get(from);
    if (tab === undefined || tab.leaving !== undefined) return;
    tab.leaving = setTimeout(() => {
      if (this.#tabs.get(from) === tab) this.#tabs.delete(from);
      this.#settle();
    }, LINGER_MS);
  }

  #settleSoon(ms: number): void {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#settle(), ms);
  }

  /** Lets the connection hold what the tabs have. */
  #settle(): void {
    if (this.#tabs.size === 0) {
      this.#connection.close();
      this.#rest();
      return;
    }
    const keys = new Set([...this.#tabs.values()].flatMap((tab) => tab.keys));
    const before = this.#recent.keys;
    const added = [...keys].filter((key) => !before.includes(key));
    if (added.length === 0 && keys.size === before.length) return;
    this.#recent.hold(keys);
    this.#say({ say: 'held', keys: [...keys] });
    // For those who come before it is: the others have not noticed anything.
    this.#change = { state: 'connecting' };
    this.#connection.open([...keys], added);
  }

  #relay(events: readonly StreamEvent[]): void {
    for (const event of events) {
      this.#recent.push(event);
      if (event.type === 'sse:hello') this.#change = { state: 'open' };
    }
    this.#say({ say: 'events', events });
  }

  #become(change: StateChange): void {
    const { state, status } = change;
    const isTooMuch = status === 400 || status === 414 || status === 431;
    if (state === 'closed') {
      if (isTooMuch && this.#tabs.size > 1) this.#say({ say: 'part' });
      else this.#say({ say: 'state', change });
      this.#rest();
    } else {
      this.#change = change;
      this.#say({ say: 'state', change });
    }
  }

  /** Whoever comes now begins anew. */
  #rest(): void {
    for (const { leaving } of this.#tabs.values()) clearTimeout(leaving);
    this.#tabs.clear();
    this.#isOpen = false;
    this.#change = { state: 'connecting' };
  }

  /** Asks the tabs for headers, the newest first, until one answers. */
  async #headers(asking: Asking): Promise<Record<string, string> | undefined> {
    const tabs = [...this.#tabs].filter(([, tab]) => tab.hasHeaders && tab.leaving === undefined).reverse();
    for (const [to] of tabs) {
      const answer = await new Promise<Record<string, string> | undefined>((resolve) => {
        this.#answer = resolve;
        this.#say({ say: 'ask', to, asking });
        setTimeout(resolve, ASK_MS);
      });
      if (answer !== undefined) return answer;
    }
    return undefined;
  }
}
