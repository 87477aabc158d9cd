import { EventEmitter, once } from 'node:events';
import { request, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { request as requestTls } from 'node:https';
import { StringDecoder } from 'node:string_decoder';
import { createGunzip } from 'node:zlib';
import { createParser, type EventSourceMessage } from 'eventsource-parser';

/** A stream as a real client reads it: Node's own HTTP client and a spec-exact parser. */
export class Stream {
  readonly response: IncomingMessage;
  readonly events: EventSourceMessage[] = [];
  readonly comments: string[] = [];
  readonly retries: number[] = [];
  text = '';
  ended = false;
  readonly #request: ClientRequest;
  readonly #changes = new EventEmitter();

  private constructor(clientRequest: ClientRequest, response: IncomingMessage) {
    this.#request = clientRequest;
    this.response = response;
    this.#changes.setMaxListeners(0);
    const parser = createParser({
      onEvent: (event) => this.events.push(event),
      onComment: (comment) => this.comments.push(comment),
      onRetry: (retry) => this.retries.push(retry),
    });
    const decoder = new StringDecoder('utf8');
    const body = response.headers['content-encoding'] === 'gzip' ? response.pipe(createGunzip()) : response;
    body.on('error', () => undefined);
    body.on('data', (chunk: Buffer) => {
      const text = decoder.write(chunk);
      if (this.text.length < 100_000) this.text += text;
      parser.feed(text);
      this.#changes.emit('change');
    });
    const end = (): void => {
      this.ended = true;
      this.#changes.emit('change');
    };
    response.on('end', end);
    response.on('close', end);
    response.on('error', end);
  }

  /** Opens one, over TLS with the certificate `ca`; resolves when the head is there. */
  static async open(
    url: string,
    options: { headers?: Record<string, string>; method?: string; ca?: Buffer } = {},
  ): Promise<Stream> {
    const clientRequest = (url.startsWith('https:') ? requestTls : request)(url, { agent: false, ...options });
    clientRequest.end();
    const [response] = (await once(clientRequest, 'response')) as [IncomingMessage];
    clientRequest.on('error', () => undefined);
    return new Stream(clientRequest, response);
  }

  get status(): number {
    return this.response.statusCode!;
  }

  get headers(): IncomingHttpHeaders {
    return this.response.headers;
  }

  /** Events that are not the plugin's own. */
  get messages(): EventSourceMessage[] {
    return this.events.filter((event) => event.event?.startsWith('sse:') !== true);
  }

  get data(): string[] {
    return this.messages.map((event) => event.data);
  }

  /** The id that a client would come back with. */
  get lastEventId(): string {
    return this.events.findLast((event) => event.id !== undefined)?.id ?? '';
  }

  own(name: string): EventSourceMessage[] {
    return this.events.filter((event) => event.event === `sse:${name}`);
  }

  /** Resolves when the condition holds, looking whenever something arrives. */
  async until(condition: (stream: this) => boolean): Promise<this> {
    while (!condition(this)) {
      if (this.ended) throw new Error(`the stream ended before: ${String(condition)}; got ${this.text.slice(-500)}`);
      await once(this.#changes, 'change', { signal: AbortSignal.timeout(60_000) });
    }
    return this;
  }

  async untilMessages(count: number): Promise<this> {
    return this.until((stream) => stream.messages.length >= count);
  }

  async untilEnd(): Promise<this> {
    while (!this.ended) await once(this.#changes, 'change', { signal: AbortSignal.timeout(60_000) });
    return this;
  }

  pause(): void {
    this.response.pause();
  }

  resume(): void {
    this.response.resume();
  }

  close(): void {
    this.#request.destroy();
  }
}
