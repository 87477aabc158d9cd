import { request, type ClientRequest, type IncomingMessage } from 'node:http';
import { StringDecoder } from 'node:string_decoder';
import { createParser } from 'eventsource-parser';
import type { Diary } from './oracle';

/** Beats are published for everyone, to see when all are served again. */
export const BEAT = 'beat';

/** A client that comes back to any worker whenever its stream ends, as a browser does, and writes down what it gets. */
export class FaultClient implements Diary {
  readonly name: string;
  readonly keys: readonly string[];
  readonly received: { text: string; id: string }[] = [];
  readonly gaps: string[] = [];
  /** By beat, when it came. */
  readonly beats = new Map<string, number>();
  /** The pid of the worker that it is on. */
  worker: number | undefined;
  connections = 0;
  readonly #choose: () => { pid: number; url: string } | undefined;
  readonly #random: () => number;
  #request: ClientRequest | undefined;
  #response: IncomingMessage | undefined;
  #lastEventId = '';
  #closed = false;

  constructor(
    name: string,
    keys: readonly string[],
    choose: () => { pid: number; url: string } | undefined,
    random: () => number,
  ) {
    this.name = name;
    this.keys = keys;
    this.#choose = choose;
    this.#random = random;
  }

  get isOpen(): boolean {
    return this.#response !== undefined;
  }

  connect(): void {
    const worker = this.#choose();
    if (this.#closed) return;
    if (worker === undefined) {
      this.#again();
      return;
    }
    const query = this.keys.map((key) => `connectKey=${encodeURIComponent(key)}`).join('&');
    const headers = this.#lastEventId === '' ? {} : { 'Last-Event-ID': this.#lastEventId };
    let over = false;
    const end = (): void => {
      if (over) return;
      over = true;
      this.worker = undefined;
      this.#response = undefined;
      this.#again();
    };
    this.#request = request(`${worker.url}/stream?${query}`, { agent: false, headers });
    this.#request.on('error', end);
    this.#request.on('response', (response) => {
      if (response.statusCode !== 200) {
        response.destroy();
        end();
        return;
      }
      this.connections++;
      this.worker = worker.pid;
      this.#response = response;
      this.#read(response);
      response.on('error', end);
      response.on('close', end);
    });
    this.#request.end();
  }

  /** Drops the connection; says whether there was one. */
  disconnect(): boolean {
    const wasOpen = this.#response !== undefined;
    this.#request?.destroy();
    return wasOpen;
  }

  /** Stops reading; says whether there was something to read from. */
  pause(): boolean {
    this.#response?.pause();
    return this.#response !== undefined;
  }

  resume(): void {
    this.#response?.resume();
  }

  close(): void {
    this.#closed = true;
    this.#request?.destroy();
  }

  #again(): void {
    if (!this.#closed) setTimeout(() => this.connect(), 20 + 200 * this.#random());
  }

  #read(response: IncomingMessage): void {
    const decoder = new StringDecoder('utf8');
    const parser = createParser({
      onEvent: ({ event, data, id }) => {
        // The id counts as soon as the event is there: what was cut off is sent again.
        if (id !== undefined) this.#lastEventId = id;
        if (event === BEAT) this.beats.set(data, performance.now());
        else if (event === 'sse:gap') this.gaps.push(data);
        else if (event === undefined) this.received.push({ text: copy(data.split(' ', 1)[0]!), id: copy(id ?? '') });
      },
    });
    response.on('data', (chunk: Buffer) => {
      // What a browser has dropped it does not read.
      if (response === this.#response) parser.feed(decoder.write(chunk));
    });
  }
}

/** A string of its own: a piece of a chunk would keep the whole chunk in memory. */
function copy(text: string): string {
  return Buffer.from(text).toString();
}
