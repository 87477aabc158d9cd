import type { ServerResponse } from 'node:http';
import type { Authorizer } from '../access/authorizer';
import { isOn } from '../options/bridges';
import type { Broker } from '../order/broker';
import { Cors } from './cors';
import { SseError, show } from '../base/error';
import { encodeOwn } from '../message/message';
import { acceptsGzip, addTo } from './headers';
import type { Hub } from '../hub/hub';
import type { Joined, Joining } from '../hub/join';
import type { SseLogger } from '../base/logger';
import type { Feed } from '../connection/connection';
import type { SseResponse, SseRequest } from '../connection/wire';
import { checkOpenOptions, type OpenOptions } from '../options/open';
import { mergeHeaders, type SseOptions } from '../options/options';
import { idOf, run as keyOf } from '../message/keys';
import type { Seat } from '../access/user_limit';
import { checkMethod, readOpened, readRequest, type Asked } from './request';
import { SseStream, streamOf } from './stream';

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

/** What a stream is to be, besides what its client asks for. */
type Settings = Pick<Joining, 'isPrivate' | 'run' | 'retry' | 'feed' | 'data'> & Pick<OpenOptions, 'headers'>;

/** Answers requests for a stream, from the first byte on. */
export class Endpoint {
  readonly #hub: Hub;
  readonly #options: SseOptions;
  readonly #authorizer: Authorizer;
  readonly #cors: Cors | undefined;
  readonly #order: Pick<Broker, 'catchUp' | 'ask'>;
  readonly #logger: SseLogger;

  constructor(
    hub: Hub,
    options: SseOptions,
    parts: { authorizer: Authorizer; order: Pick<Broker, 'catchUp' | 'ask'>; logger: SseLogger },
  ) {
    this.#hub = hub;
    this.#options = options;
    this.#authorizer = parts.authorizer;
    this.#cors = Cors.of(options);
    this.#order = parts.order;
    this.#logger = parts.logger;
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
      const joined = await this.#join(request, response, { asked: readRequest(request, this.#options), ctx });
      joined?.greet();
    } catch (error) {
      if (!(error instanceof SseError)) throw error;
      this.#turnAway(request, response, error);
    }
  }

  /**
   * Makes a request a stream that its handler sends to, at once; whether it is let in, and the head of its answer, come
   * later. One that is not let in is answered why, as by `serve`.
   *
   * Throws `SseError`, nothing done: `ERR_SSE_OPTIONS`, what a `first` that cannot be sent throws, and `ERR_SSE_OPEN` when
   * the request is answered already.
   */
  open(request: SseRequest, response: SseResponse, options: OpenOptions = {}, ctx: object = request): SseStream {
    const { keys, first, retry, headers, data, ...rest } = checkOpenOptions(options);
    const run = rest.run === undefined ? undefined : keyOf(rest.run);
    if (streamOf(response) !== undefined || response.headersSent) {
      throw new SseError(
        'ERR_SSE_OPEN',
        'this request is answered already; open its stream once, and before its head is out',
      );
    }
    const join = async (feed: Feed): Promise<Joined | undefined> => {
      const settings = {
        isPrivate: keys === undefined,
        run,
        retry,
        feed,
        headers,
        ...(data !== undefined && { data }),
      };
      try {
        const asked = readOpened(request, run === undefined ? keys : [run], this.#options);
        const joined = await this.#join(request, response, { asked, ctx, settings });
        // The client is to know at once that it is in, however long the first message takes.
        // Both kinds can, but @types/node knows of one only.
        if (joined !== undefined) (response as ServerResponse).flushHeaders();
        return joined;
      } catch (error) {
        const refusal = error instanceof SseError ? error : this.#toFailure(error);
        this.#turnAway(request, response, refusal);
        throw refusal;
      }
    };
    return SseStream.of(response, join, { first, maxUnsentBytes: this.#options.maxUnsentBytes, logger: this.#logger });
  }

  /**
   * Lets a client in, and writes the head of its stream; undefined when it wants no more than that, or has left. Throws
   * `SseError` when it is refused.
   */
  async #join(
    request: SseRequest,
    response: SseResponse,
    { asked, ctx, settings = {} }: { asked: Asked; ctx: object; settings?: Settings },
  ): Promise<Joined | undefined> {
    const { headers, ...rest } = settings;
    // Streams open by the thousands at once: what there is no need to wait for is not waited for.
    const admission = this.#authorizer.freely(asked.keys) ?? (await this.#authorizer.admit(async () => ctx, asked));
    const { keys, lastEventId, showsKeys, newKeys } = asked;
    const joining = { ...admission, ...rest, asked: keys, lastEventId, showsKeys, newKeys };
    // What is sent to one client alone may hold its secrets next to what others have made it say.
    const compressed =
      settings.isPrivate !== true && acceptsGzip(request.headers['accept-encoding']) && this.#hub.compresses(joining);
    const isBehind = this.#mayBeBehind(joining) && !(await this.#order.catchUp()) && lastEventId !== undefined;
    // The client may have left meanwhile.
    if (isOver(response)) return undefined;
    if (joining.run !== undefined && this.#hasAll(joining, joining.run)) {
      // A browser that has had the end of a response comes back until it is told so.
      this.#answerNothing(request, response);
      return undefined;
    }
    if (request.method === 'HEAD') {
      this.#writeHead(request, response, { headers, compressed, user: joining.user });
      response.end();
      return undefined;
    }
    this.#checkRoom();
    const seat = this.#isCounted(joining.user) ? await this.#seatFor(joining.user) : undefined;
    try {
      if (isOver(response)) return undefined;
      // Once more: it takes a while to ask the others.
      if (seat !== undefined) this.#checkRoom(seat);
      this.#writeHead(request, response, { headers, compressed, user: joining.user });
      return this.#hub.open(response, { ...joining, compressed, isBehind });
    } finally {
      seat?.release();
    }
  }

  /** Whether a client may have heard of more, on another worker, than has arrived here, or have taken its mail there. */
  #mayBeBehind(joining: Joining): boolean {
    const { lastEventId, isPrivate = false, run } = joining;
    if (isPrivate && run === undefined) return false;
    const { log } = this.#hub;
    return (
      (run !== undefined && log.runOf(run) === undefined) ||
      (lastEventId === undefined ? this.#hub.hasMailbox(joining) : !this.#hub.knows(lastEventId, joining))
    );
  }

  /** Whether a client has had all of a run. Throws `SseError` when it may not have it, or nobody knows of it. */
  #hasAll({ keys, lastEventId }: Joining, run: string): boolean {
    if (!keys.includes(run)) {
      throw new SseError('ERR_SSE_REFUSED', 'this run is not for this client', { status: 403 });
    }
    const { log } = this.#hub;
    if (log.runOf(run) === undefined) {
      throw new SseError('ERR_SSE_RUN_UNKNOWN', `there is no run ${show(idOf(run))}, or its lifetime is over`, {
        status: 404,
      });
    }
    return lastEventId !== undefined && log.hasAllOfRun(lastEventId, run);
  }

  #answerNothing(request: SseRequest, response: SseResponse): void {
    forgetBody(response);
    this.#allowOrigin(request, response);
    response.writeHead(204);
    response.end();
  }

  /** Answers a request that is not let in. */
  #turnAway(request: SseRequest, response: SseResponse, error: SseError): void {
    if (isOver(response)) return;
    // A browser never comes back by itself but after a 200; while a worker is going, another is near, whatever
    // `overload` says. What is no GET comes from no EventSource.
    const comesBack = error.code === 'ERR_SSE_SHUTDOWN' || this.#options.overload === 'retry';
    if (comesBack && NO_ROOM.has(error.code) && request.method === 'GET') this.#sendAway(request, response, error.code);
    else this.#refuse(request, response, error);
  }

  #toFailure(error: unknown): SseError {
    this.#logger.error(new Error('a stream could not be opened', { cause: error }));
    return new SseError('ERR_SSE_FAILED', 'the stream could not be opened', { status: 500 });
  }

  #isCounted(user: string | undefined): user is string {
    return user !== undefined && this.#options.maxClientsPerUser > 0;
  }

  #seatFor(user: string): Promise<Seat> {
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

  #writeHead(
    request: SseRequest,
    response: SseResponse,
    { headers, compressed, user }: { headers?: OpenOptions['headers']; compressed: boolean; user: string | undefined },
  ): void {
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
      // What is set before is kept for as long as the response is open.
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

  /** Answers 200 and ends: a browser comes back by itself, as it never does after a 503. */
  #sendAway(request: SseRequest, response: SseResponse, code: string): void {
    this.#writeHead(request, response, { compressed: false, user: undefined });
    const retry = spread(this.#options.retry);
    response.end(encodeOwn('busy', { code, retry }, { retry }));
    this.#hub.events.emit('refuse', { status: 200, code });
  }

  /** Lets a page of another origin read an answer that is no stream. */
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
    this.#hub.events.emit('refuse', { status, code });
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
