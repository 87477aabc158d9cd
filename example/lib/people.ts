import { anonymous, authenticated, group, user } from 'egg-sse';

/** A person that the app knows. */
export interface Person {
  readonly teams: readonly string[];
}

/** Who has logged in, by their session. */
export function userOf(session: unknown): string | undefined {
  return (session as { user?: string }).user;
}

/** The people who can log in. A real app asks its database. */
export const PEOPLE: ReadonlyMap<unknown, Person> = new Map([
  ['ann', { teams: ['hens'] }],
  ['bob', { teams: ['hens'] }],
]);

/** Audiences of a note, and the key of each. */
export const AUDIENCES: ReadonlyMap<string, string> = new Map([
  ['ann', user('ann')],
  ['bob', user('bob')],
  ['team', group('hens')],
  ['everyone', authenticated()],
  ['guests', anonymous()],
]);
