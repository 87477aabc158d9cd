/** An event as it stands on the wire, but for its id: the order gives an id to an event without one. */
export interface EncodedEvent {
  /** Every field but `id`, each line ended by LF. */
  readonly body: string;
  /** The publisher's own id. */
  readonly id?: string;
  /** The event's name. */
  readonly event?: string;
}

/** The beginning of the names of the plugin's own events; `publish` refuses such names. */
export const OWN_EVENT_PREFIX = 'sse:';

const LINE_END = /\r\n|\r|\n/;
// oxlint-disable-next-line no-control-regex -- NUL is what the standard forbids
const UNSAFE_IN_FIELD = /[\r\n\0]/;

/** The lines of a text, each of them after `prefix`. */
export function lines(prefix: string, text: string): string {
  if (!text.includes('\n') && !text.includes('\r')) return `${prefix}${text}\n`;
  return `${prefix}${text.split(LINE_END).join(`\n${prefix}`)}\n`;
}

/** A comment frame: keeps proxies from closing a quiet stream. */
export const PING: Buffer = Buffer.from(': ping\n\n');

/**
 * Closes an encoded body with its id and the empty line that dispatches it.
 *
 * `id` is the last field: some clients note it while they parse, and would take a frame that is cut after it as received.
 */
export function toFrame(body: string, id?: string): Buffer {
  return Buffer.from(toFrameText(body, id));
}

/** The frame of `toFrame`, as text. */
export function toFrameText(body: string, id?: string): string {
  return id === undefined ? `${body}\n` : `${body}id: ${id}\n\n`;
}

/** The bytes of the frame that `toFrame` makes of a body of so many bytes. */
export function frameBytes(bodyBytes: number, id?: string): number {
  return id === undefined ? bodyBytes + 1 : bodyBytes + Buffer.byteLength(id) + 6;
}

/** Encodes one of the plugin's own events (`sse:*`). */
export function encodeOwn(name: string, data: object, options: { retry?: number; id?: string } = {}): Buffer {
  const retry = options.retry === undefined ? '' : `retry: ${options.retry}\n`;
  return toFrame(retry + ownEvent(name, data).body, options.id);
}

/** Encodes one of the plugin's own events that goes into the order, which gives it its id. */
export function ownEvent(name: string, data: object): EncodedEvent {
  const event = `${OWN_EVENT_PREFIX}${name}`;
  return { body: `event: ${event}\ndata: ${JSON.stringify(data)}\n`, event };
}

/** Whether a text can stand in an `id` or `event` field. */
export function isFieldSafe(text: string): boolean {
  return !UNSAFE_IN_FIELD.test(text);
}
