import type { SseTarget } from '../options/bridges';
import { SseError, show } from '../base/error';
import type { SseEvent } from '../message/message';
import type { SseRequest } from '../connection/wire';

/** The message that a request asks to publish, and its target. */
export interface Submission {
  readonly target: SseTarget;
  readonly message: SseEvent;
}

const FIELDS = ['key', 'all', 'event', 'data', 'id'];

type Reader = (text: string) => ReadonlyMap<string, unknown>;

const READERS = new Map<string, Reader>([
  ['application/json', readJson],
  ['application/x-www-form-urlencoded', readForm],
]);

/**
 * Finds the reader of a request's body, before the body is there.
 *
 * Throws `SseError` `ERR_SSE_CONTENT_TYPE` (415). The reader throws `ERR_SSE_BODY` and `ERR_SSE_KEY`.
 */
export function submissionReader(request: SseRequest): (body: Buffer) => Submission {
  const { 'content-type': type, 'content-encoding': encoding } = request.headers;
  const [name = '', ...parameters] = (type ?? '').split(';').map((part) => part.trim().toLowerCase());
  const reader = READERS.get(name);
  const charset = parameters.find((parameter) => parameter.startsWith('charset='));
  if (reader === undefined || (charset !== undefined && !/^charset="?utf-?8"?$/.test(charset))) {
    throw unsupported(`Content-Type is ${show(type)}`);
  }
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw unsupported(`Content-Encoding is ${show(encoding)}`);
  }
  return (body) => toSubmission(reader(decode(body)));
}

function toSubmission(fields: ReadonlyMap<string, unknown>): Submission {
  for (const name of fields.keys()) {
    if (!FIELDS.includes(name)) {
      throw new SseError('ERR_SSE_BODY', `${show(name)} is not a field; there are ${FIELDS.join(', ')}`);
    }
  }
  const message: Record<string, unknown> = {};
  for (const name of ['event', 'data', 'id']) {
    if (fields.has(name)) message[name] = fields.get(name);
  }
  return { target: toTarget(fields.get('key'), fields.get('all')), message };
}

function toTarget(key: unknown, all: unknown): SseTarget {
  if (all !== undefined && all !== true && all !== false) {
    throw new SseError('ERR_SSE_KEY', `all is ${show(all)}; it may be true: to everyone`);
  }
  if ((key === undefined) === (all === true)) return all === true ? { all } : { key: key as string };
  throw new SseError(
    'ERR_SSE_KEY',
    `there is ${key === undefined ? 'no key' : 'a key, and all is true'}; say the key, or several of them, or all: true for everyone`,
  );
}

function decode(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch (cause) {
    throw new SseError('ERR_SSE_BODY', 'the body is not UTF-8; send it as UTF-8', { cause });
  }
}

function readJson(text: string): ReadonlyMap<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new SseError(
      'ERR_SSE_BODY',
      `the body is not JSON (${(cause as Error).message}); send an object, { key, event?, data?, id? }`,
      { cause },
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new SseError('ERR_SSE_BODY', `the body is ${show(value)}; it must be an object, { key, event?, data?, id? }`);
  }
  return new Map(Object.entries(value));
}

/** Reads a form as browsers and curl write it. Unlike `URLSearchParams`, it refuses bytes that are not UTF-8, and doubles. */
function readForm(text: string): ReadonlyMap<string, unknown> {
  const fields = new Map<string, unknown>();
  const keys: string[] = [];
  for (const pair of text.split('&')) {
    if (pair === '') continue;
    const end = pair.indexOf('=');
    const name = decodePart(end === -1 ? pair : pair.slice(0, end));
    const value = end === -1 ? '' : decodePart(pair.slice(end + 1));
    if (name === 'key') {
      keys.push(value);
    } else if (fields.has(name)) {
      throw new SseError('ERR_SSE_BODY', `${show(name)} is there twice; only key may be`);
    } else {
      fields.set(name, name === 'all' && (value === 'true' || value === 'false') ? value === 'true' : value);
    }
  }
  if (keys.length > 0) fields.set('key', keys.length === 1 ? keys[0] : keys);
  return fields;
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part.replaceAll('+', ' '));
  } catch (cause) {
    throw new SseError(
      'ERR_SSE_BODY',
      `${show(part)} in the form is not percent-encoded UTF-8; encode it as encodeURIComponent does`,
      { cause },
    );
  }
}

function unsupported(what: string): SseError {
  const text = `${what}; send application/json or application/x-www-form-urlencoded, in UTF-8, not compressed`;
  return new SseError('ERR_SSE_CONTENT_TYPE', text, { status: 415 });
}
