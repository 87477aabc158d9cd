import { SseError, show } from '../base/error';

/** The key that every connection holds: `publishAll` is a publish to it. */
export const ALL = '@all';
/** Every connection that has a user holds it. */
const AUTHENTICATED = '@authenticated';
/** Every connection that has none holds it. */
const ANONYMOUS = '@anonymous';

/** The key of a user, for `publish`: every connection that was granted with this `user` holds it. */
export function user(id: string | number): string {
  return `@user:${checkName(id, 'a user')}`;
}

/** The key of a group, for `publish`: every connection in it, or in a group within it, holds it. */
export function group(name: string): string {
  return `@group:${checkName(name, 'a group')}`;
}

/** The key of all who are logged in. */
export function authenticated(): string {
  return AUTHENTICATED;
}

/** The key of all who are not. */
export function anonymous(): string {
  return ANONYMOUS;
}

function checkName(name: unknown, what: string): string {
  if ((typeof name === 'string' && name !== '') || (typeof name === 'number' && Number.isFinite(name))) {
    return String(name);
  }
  throw new SseError('ERR_SSE_KEY', `${what} is ${show(name)}; it must be a non-empty string or a number`);
}
