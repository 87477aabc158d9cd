/** An event as it came, and the keys of the connection for which it is, if the server names them. */
export interface StreamEvent {
  readonly type: string;
  readonly data: string;
  readonly lastEventId: string;
  readonly keys?: readonly string[] | undefined;
  /** The reconnection time, in ms, if it came with this event or since the one before. */
  readonly retry?: number | undefined;
}

/** Parses a `text/event-stream` as the HTML standard says (9.2.5, 9.2.6), however it is cut into pieces. */
export class EventStreamParser {
  readonly #onEvent: (event: StreamEvent) => void;
  // It leaves out one byte order mark at the start, as the standard says.
  readonly #decoder = new TextDecoder();
  /** The begun line that has not ended. */
  #rest = '';
  #endsWithCr = false;
  #data: string[] = [];
  #type = '';
  #id: string;
  #keys: readonly string[] | undefined;
  #retry: number | undefined;

  constructor(lastEventId: string, onEvent: (event: StreamEvent) => void) {
    this.#id = lastEventId;
    this.#onEvent = onEvent;
  }

  feed(bytes: Uint8Array): void {
    let text = this.#decoder.decode(bytes, { stream: true });
    if (text === '') return;
    // This LF belongs to the CR at the end of the piece before.
    if (this.#endsWithCr && text[0] === '\n') text = text.slice(1);
    this.#endsWithCr = text.endsWith('\r');
    const lines = (this.#rest + text).split(/\r\n|\r|\n/);
    this.#rest = lines.pop()!;
    for (const line of lines) this.#read(line);
  }

  #read(line: string): void {
    if (line === '') {
      this.#dispatch();
      return;
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'data') this.#data.push(value);
    else if (field === 'event') this.#type = value;
    else if (field === 'id' && !value.includes('\0')) this.#id = value;
    else if (field === 'retry' && /^\d+$/.test(value)) this.#retry = Number(value);
    else if (field === 'keys') this.#keys = JSON.parse(value) as string[];
  }

  #dispatch(): void {
    const event = {
      type: this.#type || 'message',
      data: this.#data.join('\n'),
      lastEventId: this.#id,
      keys: this.#keys,
      retry: this.#retry,
    };
    const isEvent = this.#data.length > 0;
    this.#type = '';
    this.#data = [];
    this.#keys = undefined;
    if (!isEvent) return;
    this.#retry = undefined;
    this.#onEvent(event);
  }
}
