import { show, SseError } from '../base/error';
import { group, oneOf, optional, type Check, type Option } from './check';

/** `config.sse.cors`: which pages of other origins may read the streams. */
export interface SseCors {
  /** `scheme://host[:port]` as browsers send them, or `'*'` for all pages, which then cannot bring credentials. */
  origins: '*' | readonly string[];
  /** Whether these pages may bring cookies and other credentials. Left out: no. */
  credentials?: boolean;
}

export const ALLOW_CREDENTIALS = 'Access-Control-Allow-Credentials';

/** Checks `config.sse.cors`, unless it is off. */
export const checkCors: Check<SseCors> = (option) => {
  const cors = checkParts(option);
  if (cors.origins === '*' && cors.credentials === true) {
    throw option.error(
      'has the origins "*" and credentials: every page on the web could read what its visitors may; name the origins',
    );
  }
  return cors;
};

const checkParts = group<SseCors>('{ origins, credentials } or false', {
  origins: checkOrigins,
  credentials: optional(oneOf(true, false)),
});

/** Refuses, with `ERR_SSE_CONFIG`, headers of `config.sse.headers` that contradict `config.sse.cors`. */
export function checkCorsHeaders(headers: Readonly<Record<string, string | null>>): void {
  for (const [name, value] of Object.entries(headers)) {
    const isOwn = name.toLowerCase() === ALLOW_CREDENTIALS.toLowerCase() || value !== '*';
    if (/^access-control-allow-(origin|credentials)$/i.test(name) && value !== null && isOwn) {
      throw new SseError(
        'ERR_SSE_CONFIG',
        `config.sse.headers has ${show(name)}, and config.sse.cors is on; take one away`,
      );
    }
  }
}

function checkOrigins(option: Option): SseCors['origins'] {
  const { value } = option;
  const expected = '"*", or an array of origins with at least one';
  if (value === '*') return value;
  if (!Array.isArray(value) || value.length === 0) throw option.wrong(expected);
  for (const origin of value as unknown[]) {
    if (isOrigin(origin)) continue;
    const hint = origin === 'null' ? ', and every sandboxed page is "null"' : '';
    throw option.wrong(
      `${expected}; ${show(origin)} is none${hint}: browsers send scheme://host[:port], in lower case, without the default port, a path or a slash at the end`,
    );
  }
  return value as string[];
}

/** Whether an origin is written as browsers write it: otherwise it would never match. */
function isOrigin(value: unknown): boolean {
  // `URL` takes a star in a host, but no page has one.
  if (typeof value !== 'string' || !URL.canParse(value) || value.includes('*')) return false;
  if (/^https?:/i.test(value)) return new URL(value).origin === value;
  // Origins of apps and extensions, whose form the standard leaves open.
  return /^[a-z][a-z0-9+.-]*:\/\/[a-z0-9.-]+(:\d+)?$/.test(value);
}
