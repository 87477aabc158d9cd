import { check, integer } from '../options/check';
import { covers, isPattern } from './pattern';
import { isRunKey } from './run';
import { ALL, anonymous, authenticated } from './keys';

/** `config.sse.mailbox`: whose messages wait until someone takes them, and the bounds of what waits. */
export interface SseMailbox {
  /** Keys, or beginnings of keys with a `*` behind. None: it is off. */
  keys: readonly string[];
  /** ms */
  age: number;
  /** messages per mailbox */
  count: number;
  /** bytes per worker */
  bytes: number;
}

// Everybody holds them: the first who came would take what is meant for all.
const SHARED = new Set([ALL, anonymous(), authenticated()]);

/** Checks `config.sse.mailbox`, and returns a copy. Throws `SseError` `ERR_SSE_CONFIG`. */
export function checkMailbox(path: string, given: object): SseMailbox {
  return check(path, given, {
    keys: (value) =>
      Array.isArray(value) && value.every(isBox)
        ? undefined
        : `an array of keys, or of beginnings of keys with a "*" behind; not of ${[...SHARED].join(', ')}, which everybody holds`,
    age: integer(1, 1e12, 'ms'),
    count: integer(1, 2 ** 31, 'messages per mailbox'),
    bytes: integer(1, Number.MAX_SAFE_INTEGER, 'bytes per worker'),
  }) as unknown as SseMailbox;
}

/** The ones of some keys that are mailboxes. A run's is none, whatever the patterns: many read it. */
export function mailboxesOf({ keys: patterns }: Pick<SseMailbox, 'keys'>, keys: readonly string[]): string[] {
  return keys.filter((key) => !SHARED.has(key) && !isRunKey(key) && patterns.some((pattern) => covers(pattern, key)));
}

function isBox(value: unknown): boolean {
  return isPattern(value) && !SHARED.has(value);
}
