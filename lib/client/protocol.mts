// The messages between tabs and their leader, which has the connection, on a channel that all of them hear.
import type { Asking, StateChange, Terms } from './connection.mjs';
import type { StreamEvent } from './parser.mjs';
import type { After } from './recent.mjs';

// Tabs with different versions of these messages must not meet: the version is a part of the scope.
const VERSION = 1;

/** The name under which tabs meet that may share a connection. */
export function scopeOf(terms: Terms): string {
  return JSON.stringify(['egg-sse', VERSION, terms]);
}

/** Parses a name that `scopeOf` made. */
export function termsOf(scope: string): Terms {
  return (JSON.parse(scope) as [string, number, Terms])[2];
}

/** A `BroadcastChannel`, or one end of a `MessageChannel`. */
export interface Channel {
  postMessage(message: unknown): void;
  onmessage: ((event: MessageEvent) => unknown) | null;
  close(): void;
}

/** Messages of a tab. */
export type ToLeader =
  /** I am here, have these keys, and was at this place ('' = from now on). */
  | { do: 'join'; from: string; keys: readonly string[]; at: string; hasHeaders: boolean }
  | { do: 'keys'; from: string; keys: readonly string[] }
  | { do: 'headers'; from: string; headers: Record<string, string> | undefined }
  | { do: 'wake' }
  | { do: 'leave'; from: string };

/** Messages of the leader: to all tabs, or to one. */
export type ToTabs = { readonly by: string } &
  /** I lead from now on; the connection goes on from this place. */
  (
    | { say: 'lead'; at: string }
    /** An answer to `join`: the place from which the tab goes on, and the events since then. */
    | ({ say: 'welcome'; to: string; held: readonly string[]; change: StateChange } & After)
    | { say: 'events'; events: readonly StreamEvent[] }
    /** The connection holds these keys from here on. */
    | { say: 'held'; keys: readonly string[] }
    | { say: 'state'; change: StateChange }
    /** The server does not accept that many keys on one connection: each tab is to have its own. */
    | { say: 'part' }
    | { say: 'ask'; to: string; asking: Asking }
  );

/** A unique name. A tab has a lock of its name as long as it lives. */
export function newName(): string {
  // There is no crypto.randomUUID on plain http.
  return `egg-sse ${Math.random()}`;
}
