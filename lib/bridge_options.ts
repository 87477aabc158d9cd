import { check, integer, isObject, MAX_MS, oneOf, optional, wrong, type Check } from './check';
import { SseError, show } from './error';
import { encode } from './event';

/** Whom a bridge publishes to: those who hold a key, or all. */
export interface SseTarget {
  /** With several keys, a connection that holds more than one of them gets one copy. */
  key?: string | readonly string[];
  /** Every connection. */
  all?: true;
}

/** Where the data of a messenger action goes. */
export interface SseMessengerRoute extends SseTarget {
  /** The name of what is published, unless the data brings one. */
  event?: string;
  /** Left out: `host`, as of whatever the agent publishes. */
  reach?: 'host' | 'everywhere';
}

/** `config.sse.bridges`: what publishes by itself what reaches the agent from elsewhere. */
export interface SseBridges {
  /** By the messenger's action; a string is the key. */
  messenger?: Readonly<Record<string, string | SseMessengerRoute>>;
}

/** `config.sse.publisher`: `POST {path}`, for services that are not Egg. */
export interface SsePublisher {
  /** `null`: it is off. */
  secret: string | readonly string[] | null;
  /** What may be published to: keys, or beginnings of keys with a `*` behind; `null`: everything. */
  keys: readonly string[] | null;
  /** of a body */
  maxBytes: number;
  /** ms a body may take */
  timeout: number;
}

const MIN_SECRET_LENGTH = 16;
// What can stand in a header as it is, after "Bearer ".
const SECRET = /^[\x21-\x7e]+$/;
// The names that the plugin and Egg give to their own actions.
const RESERVED_ACTION = /^egg-(sse:|ready$|pids$|schedule$)/;

/** The options that say whom something is published to, and under what name. */
export const TARGET_CHECKS = {
  key: optional((value) => (isKeys(value) ? undefined : 'a non-empty string, or an array of them with at least one')),
  all: optional(oneOf(true)),
  event: optional(checkEvent),
};

/** Refuses, with `ERR_SSE_CONFIG`, a target that is none or two. */
export function checkTarget(path: string, { key, all }: SseTarget): void {
  if ((key === undefined) === (all === true)) return;
  throw new SseError(
    'ERR_SSE_CONFIG',
    `${path} has ${key === undefined ? 'neither key nor all' : 'both key and all'}; say { key: 'a key' }, or { all: true } for everyone`,
  );
}

/** Checks `config.sse.bridges`, and returns a copy. Throws `SseError` `ERR_SSE_CONFIG`. */
export function checkBridges(path: string, given: object): SseBridges {
  const { messenger, ...others } = check(path, given, {
    messenger: optional((value) => (isObject(value) ? undefined : 'an object of actions and keys')),
  }) as SseBridges;
  if (messenger === undefined) return others;
  const routes = Object.entries(messenger).map(([action, route]) => [action, checkRoute(path, action, route)] as const);
  return { ...others, messenger: Object.fromEntries(routes) };
}

function checkRoute(path: string, action: string, route: unknown): string | SseMessengerRoute {
  const name = `${path}.messenger[${show(action)}]`;
  if (action === '' || RESERVED_ACTION.test(action)) {
    throw new SseError('ERR_SSE_CONFIG', `${name}: this action is not the app's; choose another name`);
  }
  if (typeof route === 'string' && route !== '') return route;
  if (!isObject(route)) throw wrong(name, route, 'a key, or { key | all, event?, reach? }');
  const known = check(name, route, {
    ...TARGET_CHECKS,
    reach: optional((value) =>
      value === 'process'
        ? '"host" or "everywhere": it is published by the agent, which has no connections of its own'
        : oneOf('host', 'everywhere')(value),
    ),
  }) as SseMessengerRoute;
  checkTarget(name, known);
  return known;
}

/** Checks `config.sse.publisher`, and returns a copy. Throws `SseError` `ERR_SSE_CONFIG`, which never shows a secret. */
export function checkPublisher(path: string, given: object): SsePublisher {
  const known = check(path, given, {
    secret: () => undefined,
    keys: (value) =>
      value === null || (Array.isArray(value) && isKeys(value)) ? undefined : 'an array of keys, or null',
    maxBytes: integer(1, 2 ** 31, 'bytes of a body'),
    timeout: integer(1, MAX_MS, 'ms'),
  });
  const { secret } = known;
  const weakness = secret === null ? undefined : weaknessOf(secret);
  if (weakness !== undefined) {
    throw new SseError(
      'ERR_SSE_CONFIG',
      `${path}.secret ${weakness}; it must be a string of at least ${MIN_SECRET_LENGTH} characters, or an array of such strings, or null to turn the publisher off`,
    );
  }
  return known as unknown as SsePublisher;
}

/** Whether requests may publish at all. */
export function isOn(publisher: SsePublisher | false): publisher is SsePublisher {
  return publisher !== false && publisher.secret !== null;
}

/** What is wrong with a secret, without a character of it: it goes to logs. */
function weaknessOf(secret: unknown): string | undefined {
  if (Array.isArray(secret)) {
    if (secret.length === 0) return 'is an empty array';
    return secret.map(weaknessOf).find((weakness) => weakness !== undefined);
  }
  if (typeof secret !== 'string') return `is ${show(secret)}`;
  if (secret.length < MIN_SECRET_LENGTH) return `has ${secret.length} characters`;
  return SECRET.test(secret) ? undefined : 'has spaces, or characters that are not ASCII, which a header cannot hold';
}

function isKeys(value: unknown): boolean {
  const keys: unknown[] = Array.isArray(value) ? value : [value];
  return keys.length > 0 && keys.every((key) => typeof key === 'string' && key !== '');
}

function checkEvent(value: unknown): ReturnType<Check> {
  try {
    encode({ event: value as string, data: '' });
    return undefined;
  } catch (error) {
    return `an event's name: ${(error as SseError).message}`;
  }
}
