import type { EventSourceMessage } from 'eventsource-parser';
import { EventSourceParserStream } from 'eventsource-parser/stream';

/** A client's side of a stream. */
export class Stream {
  readonly headers: Headers;
  readonly status: number;
  readonly #events: ReadableStreamDefaultReader<EventSourceMessage>;

  private constructor(response: Response) {
    if (response.body === null) throw new Error(`${response.url} answered ${response.status} without a body`);
    this.status = response.status;
    this.headers = response.headers;
    this.#events = response.body
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new EventSourceParserStream())
      .getReader();
  }

  /** Resolves when the answer's head is here. */
  static async open(url: string, signal: AbortSignal): Promise<Stream> {
    return new Stream(await fetch(url, { headers: { Accept: 'text/event-stream' }, signal }));
  }

  /** The next event; `undefined` when the server has ended the stream. Rejects if the connection broke. */
  async next(): Promise<EventSourceMessage | undefined> {
    const { value } = await this.#events.read();
    return value;
  }

  /** Leaves. */
  async close(): Promise<void> {
    await this.#events.cancel();
  }
}
