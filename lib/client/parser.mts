/** An event as it came, and for which of the connection's keys it is, if the server says so. */
export interface StreamEvent {
  readonly type: string;
  readonly data: string;
  readonly lastEventId: string;
  readonly keys?: readonly string[];
}

/** Reads a `text/event-stream` as the HTML standard says, whichever way it is cut into pieces. */
export class EventStreamParser {
  /** The place to come back to. */
  lastEventId: string;
  /** What the server last said of when to come back, in ms. */
  retry: number | undefined;
  readonly #onEvent: (event: StreamEvent) => void;
  // It leaves out one byte order mark at the start, as the standard wants.
  readonly #decoder = new TextDecoder();
  /** What there is of a line that has not ended. */
  #rest: string[] = [];
  #endsWithCr = false;
  #data: string[] = [];
  #type = '';
  #id: string;
  #keys: readonly string[] | undefined;

  constructor(lastEventId: string, onEvent: (event: StreamEvent) => void) {
    this.lastEventId = this.#id = lastEventId;
    this.#onEvent = onEvent;
  }

  feed(bytes: Uint8Array): void {
    let text = this.#decoder.decode(bytes, { stream: true });
    if (text === '') return;
    // An LF that belongs to the CR that ended the piece before.
    if (this.#endsWithCr && text[0] === '\n') text = text.slice(1);
    this.#endsWithCr = text === '' ? false : text.endsWith('\r');
    const lines = text.split(/\r\n|\r|\n/);
    const last = lines.pop()!;
    for (const line of lines) {
      this.#rest.push(line);
      const whole = this.#rest.join('');
      this.#rest = [];
      this.#read(whole);
    }
    if (last !== '') this.#rest.push(last);
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
    else if (field === 'retry' && /^\d+$/.test(value)) this.retry = Number(value);
    else if (field === 'keys') this.#keys = readKeys(value);
  }

  #dispatch(): void {
    this.lastEventId = this.#id;
    const [type, data, keys] = [this.#type || 'message', this.#data, this.#keys];
    this.#type = '';
    this.#data = [];
    this.#keys = undefined;
    if (data.length > 0) this.#onEvent({ type, data: data.join('\n'), lastEventId: this.#id, keys });
  }
}

/** Of a server that is not ours, a field of that name may hold anything. */
function readKeys(value: string): readonly string[] | undefined {
  try {
    const keys: unknown = JSON.parse(value);
    return Array.isArray(keys) ? keys.map(String) : undefined;
  } catch {
    return undefined;
  }
}
