import { SseError, show } from '../base/error';
import type { SseRequest } from '../connection/wire';
import { RESERVED_KEY_PREFIX } from '../message/keys';
import type { SseOptions } from '../options/options';
import { parseLastEventId, type LastEventId } from '../order/cursor';
import { weightsOf } from './headers';

type Limits = Pick<SseOptions, 'maxKeys' | 'maxKeyLength'>;

/** A client's request for a stream, parsed. */
export interface Asked {
  /** The keys, each once, in the order asked. */
  readonly keys: readonly string[];
  /** Its `Last-Event-ID`, or the query `lastEventId` of a client that cannot set the header. */
  readonly lastEventId: LastEventId | undefined;
  /** Whether each message is to say for which of these keys it is, for a client with several readers on its stream. */
  readonly showsKeys: boolean;
  /** Keys that the client did not hold at its last event id: it gets what is published to them from now on. */
  readonly newKeys: readonly string[];
}

/**
 * Parses a request for a stream.
 *
 * Throws `SseError` with the status that answers it: `ERR_SSE_METHOD` (405), `ERR_SSE_ACCEPT` (406),
 * `ERR_SSE_KEY` and `ERR_SSE_KEYS` (400).
 */
export function readRequest(request: SseRequest, options: Limits): Asked {
  checkMethod(request.method);
  const { accept } = request.headers;
  if (!acceptsEventStream(accept)) {
    throw new SseError('ERR_SSE_ACCEPT', `Accept is ${show(accept)}; this is a stream of text/event-stream`, {
      status: 406,
    });
  }
  const query = queryOf(request.url ?? '');
  return readAsked(request, query, readKeys(query.getAll('connectKey'), options, 'connectKey'), options);
}

/**
 * Parses a request that a controller opens as a stream, with the controller's keys; its method and `Accept` may be any.
 * Without keys there is nothing that could be resumed.
 *
 * Throws `SseError`: `ERR_SSE_KEY` and `ERR_SSE_KEYS` (400).
 */
export function readOpened(request: SseRequest, keys: readonly string[] | undefined, options: Limits): Asked {
  if (keys === undefined) return { keys: [], lastEventId: undefined, showsKeys: false, newKeys: [] };
  return readAsked(request, queryOf(request.url ?? ''), readKeys(keys, options, 'key'), options);
}

function readAsked(request: SseRequest, query: URLSearchParams, keys: readonly string[], { maxKeys }: Limits): Asked {
  const lastEventId = readLastEventId(request, query);
  return {
    keys,
    lastEventId: lastEventId === undefined ? undefined : parseLastEventId(lastEventId),
    showsKeys: query.get('withKeys') === '1',
    newKeys: query.getAll('newKey').slice(0, maxKeys),
  };
}

/** Refuses every method but GET and HEAD (`ERR_SSE_METHOD`, 405). */
export function checkMethod(method: string | undefined): void {
  if (method === 'GET' || method === 'HEAD') return;
  throw new SseError('ERR_SSE_METHOD', `the method is ${show(method)}; a stream is opened with GET`, { status: 405 });
}

/**
 * Whether an `Accept` header lets `text/event-stream` through (RFC 9110, 12.5.1): the most specific range that names it
 * decides, and one of weight 0 excludes it. No header accepts everything.
 */
export function acceptsEventStream(accept: string | undefined): boolean {
  if (accept === undefined || accept.trim() === '') return true;
  const weights = weightsOf(accept);
  const weight = weights.get('text/event-stream') ?? weights.get('text/*') ?? weights.get('*/*') ?? 0;
  // A weight that is not a number is a mistake of the client's, not a refusal.
  return !(weight <= 0);
}

function queryOf(url: string): URLSearchParams {
  const start = url.indexOf('?');
  return new URLSearchParams(start === -1 ? '' : url.slice(start + 1));
}

function readKeys(asked: readonly string[], { maxKeys, maxKeyLength }: Limits, what: string): string[] {
  const keys = new Set<string>();
  for (const key of asked) {
    if (key === '') continue;
    if (key.length > maxKeyLength) {
      throw new SseError(
        'ERR_SSE_KEY',
        `${what} is ${show(key)}, ${key.length} characters; it may have ${maxKeyLength}`,
      );
    }
    if (key.startsWith(RESERVED_KEY_PREFIX)) {
      throw new SseError(
        'ERR_SSE_KEY',
        `${what} is ${show(key)}; keys that begin with "${RESERVED_KEY_PREFIX}" are granted by the server, not asked for`,
      );
    }
    keys.add(key);
    if (keys.size > maxKeys) {
      throw new SseError(
        'ERR_SSE_KEYS',
        `more than ${maxKeys} ${what}s, the last ${show(key)}; a connection may hold ${maxKeys}: open another`,
      );
    }
  }
  return [...keys];
}

function readLastEventId(request: SseRequest, query: URLSearchParams): string | undefined {
  const header = request.headers['last-event-id'];
  // An empty id is no id (HTML standard, 9.2.3).
  if (typeof header === 'string' && header !== '') return decodeHeader(header);
  return query.get('lastEventId') || undefined;
}

/** Decodes a header that Node has read as Latin-1: browsers send the id as UTF-8 (HTML standard, 9.2.3). */
function decodeHeader(value: string): string {
  const bytes = Buffer.from(value, 'latin1');
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? text : value;
}
