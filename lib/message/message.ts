import { SseError, show } from '../base/error';
import { isFieldSafe, lines, OWN_EVENT_PREFIX, type EncodedEvent } from './frame';

/** An event in the words of the HTML standard (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
export interface SseEvent {
  /**
   * A string goes out as it is, line by line; any other value as JSON. Left out: an event with empty data; with only a
   * comment or a retry there is no event.
   */
  data?: unknown;
  /** The event's name, for `addEventListener` in the browser. Left out or empty: `message`. */
  event?: string;
  /** The publisher's own id, unique within a key. Left out: an id of the plugin's, from which clients can resume. */
  id?: string | number;
  /** ms the client waits before it reconnects. */
  retry?: number;
  /** A comment: on the wire, invisible to page code. */
  comment?: string;
}

/** A message as `publish` takes it: a string is an unnamed event. */
export type SseMessage = string | SseEvent;

// A client sends its id back in a request header, and Node refuses requests with more than 16 kB of headers:
// a longer id would lock the client out for good.
const MAX_ID_LENGTH = 1024;

/** The fields of a message. */
export const FIELDS: ReadonlySet<string> = new Set(['data', 'event', 'id', 'retry', 'comment']);

/**
 * Encodes a message so that a parser of the HTML standard reads back exactly what was given, line ends as LF.
 *
 * Never changes the message. Throws `SseError` for a message that cannot go on the wire, before anything is sent:
 * `ERR_SSE_MESSAGE`, `ERR_SSE_DATA`, `ERR_SSE_EVENT`, `ERR_SSE_ID`, `ERR_SSE_RETRY`, `ERR_SSE_COMMENT`.
 */
export function encode(message: SseMessage): EncodedEvent {
  if (typeof message === 'string') return { body: lines('data: ', message) };
  checkShape(message);
  const { comment, event, retry, id } = message;
  const name = encodeName(event ?? undefined);
  const ownId = encodeId(id ?? undefined);
  let body = '';
  if (comment !== undefined && comment !== null) body += encodeComment(comment);
  if (name !== undefined) body += `event: ${name}\n`;
  if (retry !== undefined && retry !== null) body += encodeRetry(retry);
  if ('data' in message) body += lines('data: ', encodeData(message.data));
  // Browsers dispatch no event without data. That is right for a comment or a retry alone, but not for an event.
  else if (name !== undefined || ownId !== undefined) body += 'data: \n';
  return { body, id: ownId, event: name };
}

function checkShape(message: SseEvent): void {
  if (typeof message !== 'object' || message === null || Array.isArray(message)) {
    throw new SseError(
      'ERR_SSE_MESSAGE',
      `message is ${show(message)}; it must be a string or an object { data, event?, id?, retry?, comment? }: to send a value as JSON, pass { data: value }`,
    );
  }
  if ('data' in message) return;
  const names = Object.keys(message);
  const unknown = names.find((name) => !FIELDS.has(name));
  if (names.length === 0 || unknown !== undefined) {
    throw new SseError(
      'ERR_SSE_MESSAGE',
      `message is an object without data${unknown === undefined ? '' : `, with an unknown field ${show(unknown)}`}; to send an object as JSON, pass { data: object }`,
    );
  }
}

function encodeName(event: unknown): string | undefined {
  if (event === undefined || event === '') return undefined;
  if (typeof event !== 'string') {
    throw new SseError('ERR_SSE_EVENT', `event is ${show(event)}; it must be a string`);
  }
  if (!isFieldSafe(event)) {
    throw new SseError(
      'ERR_SSE_EVENT',
      `event is ${show(event)}; CR, LF and NUL cannot stand in an event's name: take them out`,
    );
  }
  if (event.startsWith(OWN_EVENT_PREFIX)) {
    throw new SseError(
      'ERR_SSE_EVENT',
      `event is ${show(event)}; names that begin with "${OWN_EVENT_PREFIX}" are the plugin's own: choose another`,
    );
  }
  return event;
}

function encodeId(id: unknown): string | undefined {
  if (id === undefined) return undefined;
  if (typeof id === 'number' && Number.isFinite(id)) return String(id);
  if (typeof id !== 'string') {
    throw new SseError('ERR_SSE_ID', `id is ${show(id)}; it must be a string or a finite number`);
  }
  if (id === '') {
    throw new SseError('ERR_SSE_ID', 'id is ""; an empty id makes clients forget their place: leave it out instead');
  }
  if (!isFieldSafe(id)) {
    throw new SseError('ERR_SSE_ID', `id is ${show(id)}; CR, LF and NUL cannot stand in an id: take them out`);
  }
  if (id.length > MAX_ID_LENGTH) {
    throw new SseError(
      'ERR_SSE_ID',
      `id is ${show(id)}; clients send it back in a header, so it must have at most ${MAX_ID_LENGTH} characters: shorten it`,
    );
  }
  return id;
}

function encodeRetry(retry: unknown): string {
  if (!Number.isSafeInteger(retry) || (retry as number) < 0) {
    throw new SseError('ERR_SSE_RETRY', `retry is ${show(retry)}; it must be a non-negative integer, in ms`);
  }
  return `retry: ${String(retry)}\n`;
}

function encodeComment(comment: unknown): string {
  if (typeof comment !== 'string') {
    throw new SseError('ERR_SSE_COMMENT', `comment is ${show(comment)}; it must be a string`);
  }
  return lines(': ', comment);
}

/** The text of a message's data: a string as it is, any other value as JSON. Throws `ERR_SSE_DATA`. */
export function encodeData(data: unknown): string {
  if (typeof data === 'string') return data;
  let json: string | undefined;
  try {
    json = JSON.stringify(data);
  } catch (cause) {
    throw new SseError(
      'ERR_SSE_DATA',
      `data is ${show(data)} that JSON cannot hold (${cause instanceof Error ? cause.message.split('\n')[0] : String(cause)}): pass a string or plain values`,
      { cause },
    );
  }
  if (json === undefined) {
    throw new SseError(
      'ERR_SSE_DATA',
      `data is ${show(data)}, which JSON cannot hold: pass a string, null or plain values`,
    );
  }
  return json;
}
