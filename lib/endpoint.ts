import type { Authorizer } from './authorizer';
import { isOn } from './bridge_options';
import type { Broker } from './broker';
import { addTo, Cors } from './cors';
import { SseError } from './error';
import { encodeOwn } from './event';
import type { Hub } from './hub';
import type { SseResponse } from './connection';
import type { SseOptions } from './options';
import type { Seat } from './seats';
import { checkMethod, readRequest, type SseRequest } from './request';

// RFC 9113, 8.2.2: fields of a connection, which HTTP/2 forbids.
const CONNECTION_HEADERS = new Set(['connection', 'keep-alive', 'proxy-connection', 'upgrade']);

// What an app's middlewares may have set for the answer that they expected.
const BODY_HEADERS = [
  'Content-Length',
  'Content-Encoding',
  'Content-Range',
  'Transfer-Encoding',
  'ETag',
  'Last-Modified',
];

// Says who the client is, before it reads a byte: tabs of different users must not share a stream.
const USER_HEADER = 'Sse-User';

// What may be otherwise soon.
const NO_ROOM = new Set(['ERR_SSE_SHUTDOWN', 'ERR_SSE_OVERLOAD', 'ERR_SSE_USER_CLIENTS']);

/** Answers requests for a stream, from the first byte on. */
export class Endpoint {
  readonly #hub: Hub;
  readonly #options: SseOptions;
  readonly #authorizer: Authorizer;
  readonly #cors: Cors | undefined;
  readonly #order: Pick<Broker, 'catchUp' | 'ask'>;

  constructor(hub: Hub, options: SseOptions, authorizer: Authorizer, order: Pick<Broker, 'catchUp' | 'ask'>) {
    this.#hub = hub;
    this.#options = options;
    this.#authorizer = authorizer;
    this.#cors = Cors.of(options);
    this.#order = order;
  }

  /** Answers a method that opens no stream, a CORS preflight with 204 and any other with 405; says whether it did. */
  answerMethod(request: SseRequest, response: SseResponse): boolean {
    if (this.#cors?.answerPreflight(request, response) === true) return true;
    try {
      checkMethod(request.method);
      return false;
    } catch (error) {
      this.#refuse(request, response, error as SseError);
      return true;
    }
  }

  /**
   * Opens the stream that is asked for, or refuses with a JSON text that says why. `ctx` is what the app's authorizer
   * gets.
   */
  async serve(request: SseRequest, response: SseResponse, ctx: object = request): Promise<void> {
    try {
      const asked = readRequest(request, this.#options);
      const { lastEventId, showsKeys, newKeys } = asked;
      const joining = {
        ...(await this.#authorizer.admit(async () => ctx, asked)),
        asked: asked.keys,
        lastEventId,
        showsKeys,
        newKeys,
      };
      // Its client may have heard of more, on another worker, than has arrived here, or have taken its mail there.
      const mayBeBehind =
        lastEventId === undefined ? this.#hub.hasMailbox(joining) : !this.#hub.knows(lastEventId, joining);
      const isBehind = mayBeBehind && !(await this.#order.catchUp()) && lastEventId !== undefined;
      // The client may have left meanwhile.
      if (isOver(response)) return;
      if (request.method === 'HEAD') {
        this.#writeHead(request, response, joining.user);
        response.end();
        return;
      }
      this.#checkRoom();
      const seat = await this.#seatFor(joining.user);
      try {
        if (isOver(response)) return;
        // Once more: it takes a while to ask the others.
        this.#checkRoom(seat);
        this.#writeHead(request, response, joining.user);
        this.#hub.open(response, joining, isBehind);
      } finally {
        seat?.release();
      }
    } catch (error) {
      if (!(error instanceof SseError)) throw error;
      if (isOver(response)) return;
      // A browser never comes back by itself but after a 200; while a worker is going, another is near, whatever
      // `overload` says.
      const comesBack = error.code === 'ERR_SSE_SHUTDOWN' || this.#options.overload === 'retry';
      if (comesBack && NO_ROOM.has(error.code)) this.#sendAway(request, response, error.code);
      else this.#refuse(request, response, error);
    }
  }

  async #seatFor(user: string | undefined): Promise<Seat | undefined> {
    if (user === undefined || this.#options.maxClientsPerUser === 0) return undefined;
    return this.#hub.seats.take(user, (question) => this.#order.ask(question, 'host'));
  }

  /** Throws when no stream can be opened in this turn. */
  #checkRoom(seat?: Seat): void {
    const { maxClients, maxClientsPerUser } = this.#options;
    if (this.#hub.draining) throw noRoom('ERR_SSE_SHUTDOWN', 'this worker is going');
    if (this.#hub.full) throw noRoom('ERR_SSE_OVERLOAD', `this worker has all of its ${maxClients} streams open`);
    if (seat?.isFree === false) {
      throw noRoom('ERR_SSE_USER_CLIENTS', `this user has all of its ${maxClientsPerUser} streams open`, 429);
    }
  }

  #writeHead(request: SseRequest, response: SseResponse, user?: string): void {
    forgetBody(response);
    response.setHeader('Content-Type', 'text/event-stream');
    for (const [name, value] of Object.entries(this.#options.headers)) {
      const field = name.toLowerCase();
      if (field === 'transfer-encoding' || field === 'content-length') continue;
      if (request.httpVersionMajor >= 2 && CONNECTION_HEADERS.has(field)) continue;
      if (value === null) response.removeHeader(name);
      else response.setHeader(name, value);
    }
    this.#cors?.apply(request, response);
    if (user !== undefined) {
      response.setHeader(USER_HEADER, encodeURIComponent(user));
      if (response.hasHeader('Access-Control-Allow-Origin')) {
        addTo(response, 'Access-Control-Expose-Headers', USER_HEADER);
      }
    }
    response.writeHead(200);
  }

  /** Answers 200 and ends: a browser comes back by itself, as it never does after a 503. */
  #sendAway(request: SseRequest, response: SseResponse, code: string): void {
    this.#writeHead(request, response);
    const retry = spread(this.#options.retry);
    response.end(encodeOwn('busy', { code, retry }, { retry }));
    this.#hub.emit('refuse', { status: 200, code });
  }

  #refuse(request: SseRequest, response: SseResponse, { status, code, message, headers }: SseError): void {
    const body = Buffer.from(JSON.stringify({ code, message }));
    forgetBody(response);
    for (const [name, value] of Object.entries(this.#options.headers)) {
      // A page of another origin must be able to read why.
      if (name.toLowerCase() === 'access-control-allow-origin' && value !== null) response.setHeader(name, value);
    }
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    this.#cors?.apply(request, response);
    response.setHeader('Content-Type', 'application/json; charset=utf-8');
    response.setHeader('Content-Length', body.length);
    response.setHeader('Cache-Control', 'no-store');
    if (status === 405) response.setHeader('Allow', isOn(this.#options.publisher) ? 'GET, HEAD, POST' : 'GET, HEAD');
    if (status === 503 || (status === 429 && !response.hasHeader('Retry-After'))) {
      response.setHeader('Retry-After', Math.max(1, Math.ceil(spread(this.#options.retry) / 1_000)));
    }
    response.writeHead(status);
    response.end(body);
    this.#hub.emit('refuse', { status, code });
  }
}

/** Whether nothing can be answered any more. */
export function isOver(response: SseResponse): boolean {
  const { destroyed } = 'stream' in response ? response.stream : response;
  return destroyed || response.headersSent;
}

function forgetBody(response: SseResponse): void {
  for (const name of BODY_HEADERS) {
    // Taking away a Transfer-Encoding that is not there would switch off Node's own.
    if (response.hasHeader(name)) response.removeHeader(name);
  }
}

function noRoom(code: string, why: string, status = 503): SseError {
  return new SseError(code, `${why}; try again after Retry-After`, { status });
}

/** Between once and twice a time, so that those who were refused together do not come back together. */
function spread(ms: number): number {
  return Math.round(ms * (1 + Math.random()));
}
