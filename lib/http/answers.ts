import type { SseError } from '../base/error';
import { isOver, type SseRequest, type SseResponse } from '../connection/wire';
import type { Events } from '../hub/events';
import { encodeOwn } from '../message/frame';
import { isOn } from '../options/bridges';
import type { OpenOptions } from '../options/open';
import { mergeHeaders, type SseOptions } from '../options/options';
import { Cors } from './cors';
import { addTo } from './headers';
import { checkMethod } from './request';

/** The variable parts of a stream's head. */
interface Head {
  /** Headers of this stream alone, which replace those of all. */
  readonly headers?: OpenOptions['headers'];
  readonly compressed: boolean;
  readonly user: string | undefined;
}

// Fields of a connection, which HTTP/2 forbids (RFC 9113, 8.2.2).
const CONNECTION_HEADERS = new Set(['connection', 'keep-alive', 'proxy-connection', 'upgrade']);

// Headers that an app's middlewares may have set for the body that they expected.
const BODY_HEADERS = [
  'Content-Length',
  'Content-Encoding',
  'Content-Range',
  'Transfer-Encoding',
  'ETag',
  'Last-Modified',
];

// Names the client's user before the client reads a byte: tabs of different users must not share a stream.
const USER_HEADER = 'Sse-User';

// Refusals that pass by themselves.
const NO_ROOM = new Set(['ERR_SSE_SHUTDOWN', 'ERR_SSE_OVERLOAD', 'ERR_SSE_USER_CLIENTS']);

/** The answers to requests for a stream: the head of a stream, or the reason why there is none. */
export class Answers {
  readonly #options: SseOptions;
  readonly #cors: Cors | undefined;
  readonly #events: Events;

  constructor(options: SseOptions, events: Events) {
    this.#options = options;
    this.#cors = Cors.of(options);
    this.#events = events;
  }

  /** Answers a method that opens no stream, a CORS preflight with 204 and any other with 405; says whether it did. */
  method(request: SseRequest, response: SseResponse): boolean {
    if (this.#cors?.answerPreflight(request, response) === true) return true;
    try {
      checkMethod(request.method);
      return false;
    } catch (error) {
      this.#refuse(request, response, error as SseError);
      return true;
    }
  }

  /** Writes the head of a stream. */
  head(request: SseRequest, response: SseResponse, { headers, compressed, user }: Head): void {
    forgetBody(response);
    const head: Record<string, string> = { 'Content-Type': 'text/event-stream' };
    const own = this.#options.headers;
    for (const [name, value] of Object.entries(headers === undefined ? own : mergeHeaders({ ...own, ...headers }))) {
      const field = name.toLowerCase();
      if (field === 'transfer-encoding' || field === 'content-length') continue;
      if (request.httpVersionMajor >= 2 && CONNECTION_HEADERS.has(field)) continue;
      if (field === 'content-type') delete head['Content-Type'];
      if (value === null) response.removeHeader(name);
      else head[name] = value;
    }
    const isCompressible = this.#options.compression !== false;
    if (this.#cors === undefined && !isCompressible && user === undefined) {
      // Headers that are set one by one would stay in memory as long as the response is open.
      response.writeHead(200, head);
      return;
    }
    for (const [name, value] of Object.entries(head)) response.setHeader(name, value);
    this.#cors?.apply(request, response);
    if (isCompressible) addTo(response, 'Vary', 'Accept-Encoding');
    if (compressed) response.setHeader('Content-Encoding', 'gzip');
    if (user !== undefined) {
      // Half a surrogate pair cannot be encoded.
      response.setHeader(USER_HEADER, encodeURIComponent(Buffer.from(user).toString()));
      if (response.hasHeader('Access-Control-Allow-Origin')) {
        addTo(response, 'Access-Control-Expose-Headers', USER_HEADER);
      }
    }
    response.writeHead(200);
  }

  /** Answers 204: a browser that comes back after the end of a run stops at that (HTML standard, 9.2.3). */
  nothing(request: SseRequest, response: SseResponse): void {
    forgetBody(response);
    this.#allowOrigin(request, response);
    response.writeHead(204);
    response.end();
  }

  /** Answers a request that is refused. */
  turnAway(request: SseRequest, response: SseResponse, error: SseError): void {
    if (isOver(response)) return;
    // A browser comes back by itself only after a 200. While this worker is going, another one is near: then `overload`
    // does not matter. Only a GET may come from an EventSource.
    const comesBack = error.code === 'ERR_SSE_SHUTDOWN' || this.#options.overload === 'retry';
    if (comesBack && NO_ROOM.has(error.code) && request.method === 'GET') this.#sendAway(request, response, error.code);
    else this.#refuse(request, response, error);
  }

  /** Answers 200 and ends: after that a browser comes back by itself, which it never does after a 503. */
  #sendAway(request: SseRequest, response: SseResponse, code: string): void {
    this.head(request, response, { compressed: false, user: undefined });
    const retry = spread(this.#options.retry);
    response.end(encodeOwn('busy', { code, retry }, { retry }));
    this.#events.emit('refuse', { status: 200, code });
  }

  /** Lets pages of other origins read an answer that is not a stream. */
  #allowOrigin(request: SseRequest, response: SseResponse): void {
    for (const [name, value] of Object.entries(this.#options.headers)) {
      if (name.toLowerCase() === 'access-control-allow-origin' && value !== null) response.setHeader(name, value);
    }
    this.#cors?.apply(request, response);
  }

  #refuse(request: SseRequest, response: SseResponse, { status, code, message, headers }: SseError): void {
    const body = Buffer.from(JSON.stringify({ code, message }));
    forgetBody(response);
    this.#allowOrigin(request, response);
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    response.setHeader('Content-Type', 'application/json; charset=utf-8');
    response.setHeader('Content-Length', body.length);
    response.setHeader('Cache-Control', 'no-store');
    if (status === 405) response.setHeader('Allow', isOn(this.#options.publisher) ? 'GET, HEAD, POST' : 'GET, HEAD');
    if (status === 503 || (status === 429 && !response.hasHeader('Retry-After'))) {
      response.setHeader('Retry-After', Math.max(1, Math.ceil(spread(this.#options.retry) / 1_000)));
    }
    response.writeHead(status);
    response.end(body);
    this.#events.emit('refuse', { status, code });
  }
}

function forgetBody(response: SseResponse): void {
  for (const name of BODY_HEADERS) {
    // Removing a Transfer-Encoding that is not there would switch off Node's own.
    if (response.hasHeader(name)) response.removeHeader(name);
  }
}

/** A time at random between once and twice `ms`: clients that are refused together must not come back together. */
function spread(ms: number): number {
  return Math.round(ms * (1 + Math.random()));
}
