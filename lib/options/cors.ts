import { show, SseError } from '../base/error';
import { check, optional, oneOf, type Check, isObject } from './check';

export const ALLOW_CREDENTIALS = 'Access-Control-Allow-Credentials';

/** `config.sse.cors`: which pages of other origins may read the streams. */
export interface SseCors {
  /** `scheme://host[:port]` as browsers send them, or `'*'` for all pages, which then cannot bring credentials. */
  origins: '*' | readonly string[];
  /** Whether they may bring cookies and other credentials. Left out: no. */
  credentials?: boolean;
}

/**
 * Checks `config.sse.cors` and returns a copy. `headers` are those of every stream, which must not say otherwise.
 *
 * Throws `SseError` `ERR_SSE_CONFIG`.
 */
export function checkCors(path: string, given: object, headers: Readonly<Record<string, string | null>>): SseCors {
  const known = check(path, given, {
    origins: checkOrigins,
    credentials: optional(oneOf(true, false)),
  }) as unknown as SseCors;
  if (known.origins === '*' && known.credentials === true) {
    throw new SseError(
      'ERR_SSE_CONFIG',
      `${path} has the origins "*" and credentials: every page on the web could read what its visitors may; name the origins`,
    );
  }
  for (const [name, value] of Object.entries(headers)) {
    const isOwn = name.toLowerCase() === ALLOW_CREDENTIALS.toLowerCase() || value !== '*';
    if (/^access-control-allow-(origin|credentials)$/i.test(name) && value !== null && isOwn) {
      throw new SseError('ERR_SSE_CONFIG', `config.sse.headers has ${show(name)}, and ${path} is on; take one away`);
    }
  }
  return known;
}

function checkOrigins(value: unknown): ReturnType<Check> {
  const expected = '"*", or an array of origins with at least one';
  if (value === '*') return undefined;
  if (!Array.isArray(value) || value.length === 0) return expected;
  for (const origin of value as unknown[]) {
    if (isOrigin(origin)) continue;
    const hint = origin === 'null' ? ', and every sandboxed page is "null"' : '';
    return `${expected}; ${show(origin)} is none${hint}: browsers send scheme://host[:port], in lower case, without the default port, a path or a slash at the end`;
  }
  return undefined;
}

/** Whether it is written as browsers write it: otherwise it would never match. */
function isOrigin(value: unknown): boolean {
  // A URL may have a star in its host, but no page has.
  if (typeof value !== 'string' || !URL.canParse(value) || value.includes('*')) return false;
  if (/^https?:/i.test(value)) return new URL(value).origin === value;
  // Those of apps and extensions, of which the standard says nothing.
  return /^[a-z][a-z0-9+.-]*:\/\/[a-z0-9.-]+(:\d+)?$/.test(value);
}

/** Says what `config.sse.cors` must be, if it is neither on nor off. */
export function isCors(value: unknown): ReturnType<Check> {
  return value === false || isObject(value) ? undefined : '{ origins, credentials } or false';
}
