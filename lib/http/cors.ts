import { isOn, type SsePublisher } from '../options/bridges';
import { check, isObject, oneOf, optional, type Check } from '../options/check';
import type { SseResponse } from '../connection/wire';
import { SseError, show } from '../base/error';
import { addTo } from './headers';
import type { SseRequest } from '../connection/wire';

/** `config.sse.cors`: which pages of other origins may read the streams. */
export interface SseCors {
  /** `scheme://host[:port]` as browsers send them, or `'*'` for all pages, which then cannot bring credentials. */
  origins: '*' | readonly string[];
  /** Whether they may bring cookies and other credentials. Left out: no. */
  credentials?: boolean;
}

const ALLOW_ORIGIN = 'Access-Control-Allow-Origin';
const ALLOW_CREDENTIALS = 'Access-Control-Allow-Credentials';

// What clients that read a stream with fetch() set, besides what a page may set without asking.
const REQUEST_HEADERS = 'Last-Event-ID, Authorization, Cache-Control, Content-Type, Accept, X-Requested-With';

// Chromium asks again after 2 h, whatever is said.
const MAX_AGE_S = 7_200;

/** Tells browsers which pages may read an answer. An origin counts only if it is written exactly as it is configured. */
export class Cors {
  readonly #origins: ReadonlySet<string> | '*';
  readonly #credentials: boolean;
  readonly #methods: string;

  private constructor({ origins, credentials = false }: SseCors, publisher: SsePublisher | false) {
    this.#origins = origins === '*' ? origins : new Set(origins);
    this.#credentials = credentials;
    this.#methods = isOn(publisher) ? 'GET, HEAD, POST' : 'GET, HEAD';
  }

  /** One, if it is on. */
  static of({ cors, publisher }: { cors: SseCors | false; publisher: SsePublisher | false }): Cors | undefined {
    return cors === false ? undefined : new Cors(cors, publisher);
  }

  /** Sets the headers of an answer, in place of what anybody has set; its head must not be out. */
  apply(request: SseRequest, response: SseResponse): void {
    this.#admit(request, response, () => response.setHeader('Access-Control-Expose-Headers', 'Retry-After'));
  }

  /** Answers a preflight, with 204; says whether the request is one. */
  answerPreflight(request: SseRequest, response: SseResponse): boolean {
    const { method, headers } = request;
    const isPreflight =
      method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined;
    if (!isPreflight) return false;
    this.#admit(request, response, () => {
      response.setHeader('Access-Control-Allow-Methods', this.#methods);
      response.setHeader('Access-Control-Allow-Headers', REQUEST_HEADERS);
      response.setHeader('Access-Control-Max-Age', MAX_AGE_S);
    });
    response.writeHead(204);
    response.end();
    return true;
  }

  #admit({ headers: { origin } }: SseRequest, response: SseResponse, also: () => void): void {
    response.removeHeader(ALLOW_ORIGIN);
    response.removeHeader(ALLOW_CREDENTIALS);
    if (this.#origins === '*') {
      response.setHeader(ALLOW_ORIGIN, '*');
      also();
      return;
    }
    // Also for those who are not allowed: a cache must not give their answer to others.
    addTo(response, 'Vary', 'Origin');
    // Node joins several into one text with commas, which is no origin.
    if (origin === undefined || !this.#origins.has(origin)) return;
    response.setHeader(ALLOW_ORIGIN, origin);
    if (this.#credentials) response.setHeader(ALLOW_CREDENTIALS, 'true');
    also();
  }
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
