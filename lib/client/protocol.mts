// What tabs and the one who holds their connection say to each other, on a channel that all of them hear.
import type { Asking, StateChange, Terms } from './connection.mjs';
import type { StreamEvent } from './parser.mjs';
import type { After } from './recent.mjs';

// Tabs of two versions of this file do not understand each other, and do not meet.
const VERSION = 1;

/** The name under which those meet that may share a connection. */
export function scopeOf(terms: Terms): string {
  return JSON.stringify(['egg-sse', VERSION, terms]);
}

/** Reads what `scopeOf` wrote. */
export function termsOf(scope: string): Terms {
  return (JSON.parse(scope) as [string, number, Terms])[2];
}

/** A `BroadcastChannel`, or one end of a `MessageChannel`. */
export interface Channel {
  postMessage(message: unknown): void;
  onmessage: ((event: MessageEvent) => unknown) | null;
  close(): void;
}

/** What a tab says. */
export type ToHolder =
  /** I am here, have these keys, and was at this place ('' = from now on). */
  | { do: 'join'; from: string; keys: readonly string[]; at: string; hasHeaders: boolean }
  | { do: 'keys'; from: string; keys: readonly string[] }
  | { do: 'headers'; from: string; headers: Record<string, string> | undefined }
  | { do: 'wake' }
  | { do: 'leave'; from: string };

/** What the holder says: to all, or to one tab. */
export type ToTabs = { readonly by: string } &
  /** I hold the connection from now on; it goes on from this place. */
  (
    | { say: 'lead'; at: string }
    /** An answer to `join`: the place from which the tab goes on, and what has come since. */
    | ({ say: 'welcome'; to: string; held: readonly string[]; change: StateChange } & After)
    | { say: 'events'; events: readonly StreamEvent[] }
    /** The connection holds these keys from here on. */
    | { say: 'held'; keys: readonly string[] }
    | { say: 'state'; change: StateChange }
    /** The server does not take as many keys on one connection: let each have its own. */
    | { say: 'part' }
    | { say: 'ask'; to: string; asking: Asking }
  );

/** A name of which there is one; a tab has a lock of its name for as long as it lives. */
export function newName(): string {
  // crypto.randomUUID is not there on plain http.
  return `egg-sse ${Math.random()}`;
}
