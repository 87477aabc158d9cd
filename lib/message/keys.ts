import { SseError, show } from '../base/error';

/** The beginning of the plugin's own keys, which no client may ask for. */
export const RESERVED_KEY_PREFIX = '@';

/** The key that every connection holds: `publishAll` is a publish to it. */
export const ALL = '@all';

/** The key of every connection that has a user. */
const AUTHENTICATED = '@authenticated';

/** The key of every connection that has no user. */
const ANONYMOUS = '@anonymous';

const RUN_PREFIX = 'run:';
// A run's key must fit into `config.sse.maxKeyLength`, 256 by default, or no URL could ask for it.
const MAX_RUN_ID_LENGTH = 200;

/** Keys that all clients hold, or very many: as mailboxes, the first client would take the messages for all. */
export const SHARED: ReadonlySet<string> = new Set([ALL, ANONYMOUS, AUTHENTICATED]);

/** The key of a user, for `publish`: every connection whose grant has this `user` holds it. */
export function user(id: string | number): string {
  return `@user:${checkName(id, 'a user')}`;
}

/** The key of a group, for `publish`: every connection in it, or in a group within it, holds it. */
export function group(name: string): string {
  return `@group:${checkName(name, 'a group')}`;
}

/** The key of all connections that have a user. */
export function authenticated(): string {
  return AUTHENTICATED;
}

/** The key of all connections that have no user. */
export function anonymous(): string {
  return ANONYMOUS;
}

/** The key of a run, for `connectKey`, `count` and all else that takes keys. Throws `SseError` `ERR_SSE_RUN_ID`. */
export function run(id: string | number): string {
  if (typeof id === 'number' && Number.isFinite(id)) return `${RUN_PREFIX}${id}`;
  if (typeof id === 'string' && id !== '' && id.length <= MAX_RUN_ID_LENGTH) return `${RUN_PREFIX}${id}`;
  throw new SseError(
    'ERR_SSE_RUN_ID',
    `a run's id is ${show(id)}; it must be a non-empty string of at most ${MAX_RUN_ID_LENGTH} characters, or a number`,
  );
}

/** Whether a key is that of a run. */
export function isRunKey(key: string): boolean {
  return key.startsWith(RUN_PREFIX);
}

/** The id in the key of a run. */
export function idOf(key: string): string {
  return key.slice(RUN_PREFIX.length);
}

/** Whether a pattern covers a key: it is that key, or it ends with `*` and the key begins with the rest of it. */
export function covers(pattern: string, key: string): boolean {
  return pattern.endsWith('*') ? key.startsWith(pattern.slice(0, -1)) : key === pattern;
}

/** Whether a value is a pattern: a key, or the beginning of keys with one `*` at its end. */
export function isPattern(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && !value.slice(0, -1).includes('*');
}

/** Whether a key is a mailbox, by the patterns of `mailbox.keys`. A run's key is none: many clients read it. */
export function isMailbox(patterns: readonly string[], key: string): boolean {
  return !SHARED.has(key) && !isRunKey(key) && patterns.some((pattern) => covers(pattern, key));
}

/** The mailboxes among some keys. */
export function mailboxesOf(mailbox: { readonly keys: readonly string[] }, keys: readonly string[]): string[] {
  return keys.filter((key) => isMailbox(mailbox.keys, key));
}

/** The keys that a message is published to, each once. Throws `SseError` `ERR_SSE_KEY`. */
export function checkKeys(key: unknown): readonly string[] {
  if (!Array.isArray(key)) return [checkKey(key)];
  if (key.length === 0) {
    throw new SseError('ERR_SSE_KEY', 'key is an empty array; name at least one key, or use publishAll');
  }
  return [...new Set(key.map(checkKey))];
}

/** A key that a call names. Throws `SseError` `ERR_SSE_KEY`. */
export function checkKey(key: unknown): string {
  if (typeof key === 'string' && key !== '') return key;
  throw new SseError(
    'ERR_SSE_KEY',
    `key is ${show(key)}; it must be a non-empty string, as in publish(key, message); publishAll(message) reaches everyone`,
  );
}

function checkName(name: unknown, what: string): string {
  if ((typeof name === 'string' && name !== '') || (typeof name === 'number' && Number.isFinite(name))) {
    return String(name);
  }
  throw new SseError('ERR_SSE_KEY', `${what} is ${show(name)}; it must be a non-empty string or a number`);
}
