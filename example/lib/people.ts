import { anonymous, authenticated, group, user } from 'egg-sse';

/** What is known of a person. */
export interface Person {
  readonly teams: readonly string[];
}

/** Who can log in. A real app asks its database, and wants a password. */
export const PEOPLE: ReadonlyMap<unknown, Person> = new Map([
  ['ann', { teams: ['hens'] }],
  ['bob', { teams: ['hens'] }],
]);

/** Whom a note can be for, and the key that it goes to. */
export const AUDIENCES: ReadonlyMap<string, string> = new Map([
  ['ann', user('ann')],
  ['bob', user('bob')],
  ['team', group('hens')],
  ['everyone', authenticated()],
  ['guests', anonymous()],
]);
