import { SseError, show } from '../base/error';

/** An event in the words of the HTML standard (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
export interface SseEvent {
  /**
   * A string goes out as it is, line by line; anything else as JSON. Left out: an event with empty data, or, of a comment
   * or a retry alone, no event.
   */
  data?: unknown;
  /** The event's name, what the browser passes to `addEventListener`. Left out or empty: `message`. */
  event?: string;
  /** The publisher's own id, unique within a key. Left out: the plugin gives one that clients can resume from. */
  id?: string | number;
  /** How long the client waits before it reconnects, in ms. */
  retry?: number;
  /** A comment: on the wire, invisible to page code. */
  comment?: string;
}

/** What `publish` takes: a string is an unnamed event. */
export type SseMessage = string | SseEvent;

/** An event ready for the wire, all but its id: the order gives one to those that bring none. */
export interface EncodedEvent {
  /** Every field but `id`, each line ended by LF. */
  readonly body: string;
  /** The publisher's own id. */
  readonly id?: string;
  /** The event's name, for those who listen to deliveries. */
  readonly event?: string;
}

/** The names of the plugin's own events begin so; `publish` refuses them. */
export const OWN_EVENT_PREFIX = 'sse:';

// A client sends its id back in a request header, and Node refuses requests with more than 16 kB of headers:
// a longer id would lock the client out for good.
const MAX_ID_LENGTH = 1024;

const LINE_END = /\r\n|\r|\n/;
// oxlint-disable-next-line no-control-regex -- NUL is what the standard forbids
const UNSAFE_IN_FIELD = /[\r\n\0]/;
/** The fields of a message. */
export const FIELDS: ReadonlySet<string> = new Set(['data', 'event', 'id', 'retry', 'comment']);

/**
 * Encodes a message so that a parser of the HTML standard reads back exactly what was given, line ends as LF.
 *
 * Never changes the message. Throws `SseError` for what cannot go on the wire, before anything is sent:
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
  // Without data nothing is dispatched: right for a comment or a retry alone, but not for an event that has a name.
  else if (name !== undefined || ownId !== undefined) body += 'data: \n';
  return { body, id: ownId, event: name };
}

/** Encodes one of the plugin's own events (`sse:*`). */
export function encodeOwn(name: string, data: object, options: { retry?: number; id?: string } = {}): Buffer {
  const retry = options.retry === undefined ? '' : `retry: ${options.retry}\n`;
  return toFrame(retry + ownEvent(name, data).body, options.id);
}

/** One of the plugin's own events that has its place in the order. */
export function ownEvent(name: string, data: object): EncodedEvent {
  const event = `${OWN_EVENT_PREFIX}${name}`;
  return { body: `event: ${event}\ndata: ${JSON.stringify(data)}\n`, event };
}

/** A comment frame: keeps proxies from closing a quiet stream. */
export const PING: Buffer = Buffer.from(': ping\n\n');

/**
 * Closes an encoded body with its id and the empty line that dispatches it.
 *
 * `id` is the last field: some clients note it as they parse, so a frame cut after an early id would be lost to them.
 */
export function toFrame(body: string, id?: string): Buffer {
  return Buffer.from(toFrameText(body, id));
}

/** What `toFrame` makes, as text. */
export function toFrameText(body: string, id?: string): string {
  return id === undefined ? `${body}\n` : `${body}id: ${id}\n\n`;
}

/** How long `toFrame` makes a body of so many bytes. */
export function frameBytes(bodyBytes: number, id?: string): number {
  return id === undefined ? bodyBytes + 1 : bodyBytes + Buffer.byteLength(id) + 6;
}

/** Whether a text can stand in an `id` or `event` field. */
export function isFieldSafe(text: string): boolean {
  return !UNSAFE_IN_FIELD.test(text);
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

/** What stands in the `data` lines of a value: a string as it is, anything else as JSON. Throws `ERR_SSE_DATA`. */
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

function lines(prefix: string, text: string): string {
  if (!text.includes('\n') && !text.includes('\r')) return `${prefix}${text}\n`;
  return `${prefix}${text.split(LINE_END).join(`\n${prefix}`)}\n`;
}
