import { Connection, type Asking, type ConnectionOwner, type StateChange, type Terms } from './connection.mjs';
import type { StreamEvent } from './parser.mjs';
import { newName, type Channel, type ToHolder, type ToTabs } from './protocol.mjs';
import { Recent } from './recent.mjs';

interface Tab {
  keys: readonly string[];
  readonly hasHeaders: boolean;
  /** It has gone; its keys stay for a moment, in case that it was only reloaded. */
  isLeaving?: boolean;
}

const SETTLE_MS = 10;
const LINGER_MS = 5_000;
const ASK_MS = 5_000;

type Say<Message> = Message extends unknown ? Omit<Message, 'by'> : never;

/** Holds one connection for all tabs on a channel: with the keys of all of them, for as long as there are any. */
export class Holder implements ConnectionOwner {
  readonly #id = newName();
  readonly #channel: Channel;
  readonly #locks: LockManager | undefined;
  readonly #connection: Connection;
  readonly #tabs = new Map<string, Tab>();
  #recent: Recent;
  #isOpen: boolean;
  #change: StateChange = { state: 'connecting' };
  #answer: ((headers: Record<string, string> | undefined) => void) | undefined;

  /** `locks`: of tabs that may go. `recent`: what this connection has brought so far, of one that takes over. */
  constructor(terms: Terms, channel: Channel, locks?: LockManager, recent?: Recent) {
    this.#channel = channel;
    this.#locks = locks;
    this.#recent = recent?.copy() ?? new Recent('');
    this.#isOpen = !!recent;
    this.#connection = new Connection(terms, this);
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- a port is started by that alone
    channel.onmessage = ({ data }) => this.#hear(data as ToHolder);
    this.#say({ say: 'lead', at: this.#recent.cursor });
    if (!recent) return;
    const { keys, cursor } = this.#recent;
    this.#connection.open(keys, [], cursor);
    // In place of those that lived with the holder before: they join in a moment, if they live.
    this.#tabs.set('', { keys, hasHeaders: false });
    this.#leave('');
  }

  stop(): void {
    this.#isOpen = false;
    this.#connection.close();
    this.#channel.close();
  }

  #say(message: Say<ToTabs>): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is of windows
    this.#channel.postMessage({ by: this.#id, ...message });
  }

  #hear(message: ToHolder): void {
    if (message.do === 'join') this.#join(message);
    else if (message.do === 'leave') this.#leave(message.from);
    else if (message.do === 'wake') this.#connection.wake();
    else if (message.do === 'headers') this.#answer?.(message.headers);
    else if (message.do === 'keys') {
      const tab = this.#tabs.get(message.from);
      if (!tab) return;
      tab.keys = message.keys;
      this.#settleSoon();
    }
  }

  #join({ from, keys, at, hasHeaders }: Extract<ToHolder, { do: 'join' }>): void {
    const isKnown = this.#tabs.has(from);
    this.#tabs.set(from, { keys, hasHeaders });
    if (!isKnown) {
      // Granted when the tab is gone, however it went.
      void this.#locks?.request(from, () => this.#leave(from));
    }
    const isFirst = !this.#isOpen;
    if (isFirst) this.#recent = new Recent(at, keys);
    const { keys: held } = this.#recent;
    this.#say({ say: 'welcome', to: from, held, change: this.#change, ...this.#recent.after(at, keys) });
    this.#isOpen = true;
    if (isFirst) this.#connection.open(keys, [], at);
    else this.#settleSoon();
  }

  #leave(from: string): void {
    const tab = this.#tabs.get(from);
    if (!tab || tab.isLeaving) return;
    tab.isLeaving = true;
    setTimeout(() => {
      if (this.#tabs.get(from) === tab) this.#tabs.delete(from);
      this.#settle();
    }, LINGER_MS);
  }

  #settleSoon(): void {
    setTimeout(() => this.#settle(), SETTLE_MS);
  }

  /** Lets the connection hold what the tabs have. */
  #settle(): void {
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
    // For those who come before it is: the others have not noticed anything.
    this.#change = { state: 'connecting' };
    this.#connection.open([...keys], added);
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

  /** Whoever comes now begins anew. */
  #rest(): void {
    this.#tabs.clear();
    this.#isOpen = false;
    this.#change = { state: 'connecting' };
  }

  /** Asks the newest of the tabs that have headers. */
  async headers(asking: Asking): Promise<Record<string, string> | undefined> {
    const to = [...this.#tabs].findLast(([, tab]) => tab.hasHeaders && !tab.isLeaving)?.[0];
    if (!to) return undefined;
    return new Promise((resolve, reject) => {
      this.#answer = resolve;
      // It may be gone: then the next attempt asks another.
      setTimeout(reject, ASK_MS);
      this.#say({ say: 'ask', to, asking });
    });
  }
}
