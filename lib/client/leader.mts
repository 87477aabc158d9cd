import { Connection, type Asking, type ConnectionOwner, type StateChange, type Terms } from './connection.mjs';
import type { StreamEvent } from './parser.mjs';
import { newName, type Channel, type ToLeader, type ToTabs } from './protocol.mjs';
import { Recent } from './recent.mjs';

/** A tab on the channel. */
interface Tab {
  keys: readonly string[];
  readonly hasHeaders: boolean;
  /** Whether it has gone; its keys stay for a moment, since it may be a reload. */
  isLeaving?: boolean;
}

const UPDATE_MS = 10;
const LINGER_MS = 5_000;
const ASK_MS = 5_000;

type Say<Message> = Message extends unknown ? Omit<Message, 'by'> : never;

/** Leads the tabs on a channel: it has one connection for all of them, with all their keys, as long as any is there. */
export class Leader implements ConnectionOwner {
  readonly #id = newName();
  readonly #channel: Channel;
  readonly #locks: LockManager | undefined;
  readonly #connection: Connection;
  readonly #tabs = new Map<string, Tab>();
  #recent: Recent;
  #isOpen: boolean;
  #change: StateChange = { state: 'connecting' };
  #answer: ((headers: Record<string, string> | undefined) => void) | undefined;

  /** `locks`: they tell when a tab is gone. `recent`: the newest events of the leader before, if there was one. */
  constructor(terms: Terms, channel: Channel, locks?: LockManager, recent?: Recent) {
    this.#channel = channel;
    this.#locks = locks;
    this.#recent = recent?.copy() ?? new Recent('');
    this.#isOpen = !!recent;
    this.#connection = new Connection(terms, this);
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- a port is started by that alone
    channel.onmessage = ({ data }) => this.#hear(data as ToLeader);
    this.#say({ say: 'lead', at: this.#recent.cursor });
    if (!recent) return;
    const { keys, cursor } = this.#recent;
    this.#connection.open(keys, [], cursor);
    // It stands for the tabs of the leader before, which join in a moment if they live.
    this.#tabs.set('', { keys, hasHeaders: false });
    this.#leave('');
  }

  stop(): void {
    this.#isOpen = false;
    this.#connection.close();
    this.#channel.close();
  }

  onEvents(events: readonly StreamEvent[]): void {
    for (const event of events) {
      this.#recent.push(event);
      if (event.type === 'sse:hello') this.#change = { state: 'open' };
    }
    this.#say({ say: 'events', events });
  }

  onState(change: StateChange): void {
    this.#change = change;
    // 400: too many keys; 414 and 431: too long a URL.
    const isTooMuch = this.#tabs.size > 1 && [400, 414, 431].includes(change.status!);
    this.#say(isTooMuch ? { say: 'part' } : { say: 'state', change });
    if (change.state === 'closed') this.#rest();
  }

  /** Asks the newest of the tabs that have headers. */
  async headers(asking: Asking): Promise<Record<string, string> | undefined> {
    const to = [...this.#tabs].findLast(([, tab]) => tab.hasHeaders && !tab.isLeaving)?.[0];
    if (!to) return undefined;
    return new Promise((resolve, reject) => {
      this.#answer = resolve;
      // That tab may be gone: then the next attempt asks another one.
      setTimeout(reject, ASK_MS);
      this.#say({ say: 'ask', to, asking });
    });
  }

  #say(message: Say<ToTabs>): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is of windows
    this.#channel.postMessage({ by: this.#id, ...message });
  }

  #hear(message: ToLeader): void {
    if (message.do === 'join') this.#join(message);
    else if (message.do === 'leave') this.#leave(message.from);
    else if (message.do === 'wake') this.#connection.wake();
    else if (message.do === 'headers') this.#answer?.(message.headers);
    else if (message.do === 'keys') {
      const tab = this.#tabs.get(message.from);
      if (!tab) return;
      tab.keys = message.keys;
      this.#updateKeysSoon();
    }
  }

  #join({ from, keys, at, hasHeaders }: Extract<ToLeader, { do: 'join' }>): void {
    const isKnown = this.#tabs.has(from);
    this.#tabs.set(from, { keys, hasHeaders });
    if (!isKnown) {
      // The lock is granted when the tab is gone, even by a crash.
      void this.#locks?.request(from, () => this.#leave(from));
    }
    const isFirst = !this.#isOpen;
    if (isFirst) this.#recent = new Recent(at, keys);
    const { keys: held } = this.#recent;
    this.#say({ say: 'welcome', to: from, held, change: this.#change, ...this.#recent.after(at, keys) });
    this.#isOpen = true;
    if (isFirst) this.#connection.open(keys, [], at);
    else this.#updateKeysSoon();
  }

  #leave(from: string): void {
    const tab = this.#tabs.get(from);
    if (!tab || tab.isLeaving) return;
    tab.isLeaving = true;
    setTimeout(() => {
      if (this.#tabs.get(from) === tab) this.#tabs.delete(from);
      this.#updateKeys();
    }, LINGER_MS);
  }

  #updateKeysSoon(): void {
    setTimeout(() => this.#updateKeys(), UPDATE_MS);
  }

  /** Lets the connection hold the keys of all tabs. */
  #updateKeys(): void {
    if (!this.#isOpen) return;
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
    // For tabs that join before it is open again: the others notice nothing.
    this.#change = { state: 'connecting' };
    this.#connection.open([...keys], added);
  }

  /** Forgets all tabs: the next one that joins begins anew. */
  #rest(): void {
    this.#tabs.clear();
    this.#isOpen = false;
    this.#change = { state: 'connecting' };
  }
}
