import type { SseRequest, SseResponse } from '../connection/wire';
import { isOn, type SsePublisher } from '../options/bridges';
import { ALLOW_CREDENTIALS, type SseCors } from '../options/cors';
import { addTo } from './headers';

const ALLOW_ORIGIN = 'Access-Control-Allow-Origin';

// Headers that clients set which read a stream with fetch(), besides those that a page may always set (Fetch standard).
const REQUEST_HEADERS = 'Last-Event-ID, Authorization, Cache-Control, Content-Type, Accept, X-Requested-With';

// Chromium asks again after 2 h, however long the answer says.
const MAX_AGE_S = 7_200;

/** Tells browsers which pages may read an answer (Fetch standard). An origin must be exactly as it is configured. */
export class Cors {
  readonly #origins: ReadonlySet<string> | '*';
  readonly #credentials: boolean;
  readonly #methods: string;

  private constructor({ origins, credentials = false }: SseCors, publisher: SsePublisher | false) {
    this.#origins = origins === '*' ? origins : new Set(origins);
    this.#credentials = credentials;
    this.#methods = isOn(publisher) ? 'GET, HEAD, POST' : 'GET, HEAD';
  }

  /** The CORS of an app's options; undefined when it is off. */
  static of({ cors, publisher }: { cors: SseCors | false; publisher: SsePublisher | false }): Cors | undefined {
    return cors === false ? undefined : new Cors(cors, publisher);
  }

  /** Sets the headers of an answer, in place of any that are set. Its head must not be out. */
  apply(request: SseRequest, response: SseResponse): void {
    this.#admit(request, response, () => response.setHeader('Access-Control-Expose-Headers', 'Retry-After'));
  }

  /** Answers a preflight, with 204; says whether the request is one. */
  answerPreflight(request: SseRequest, response: SseResponse): boolean {
    const { method, headers } = request;
    const isPreflight =
      method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined;
    if (!isPreflight) return false;
    this.#admit(request, response, () => {
      response.setHeader('Access-Control-Allow-Methods', this.#methods);
      response.setHeader('Access-Control-Allow-Headers', REQUEST_HEADERS);
      response.setHeader('Access-Control-Max-Age', MAX_AGE_S);
    });
    response.writeHead(204);
    response.end();
    return true;
  }

  #admit({ headers: { origin } }: SseRequest, response: SseResponse, also: () => void): void {
    response.removeHeader(ALLOW_ORIGIN);
    response.removeHeader(ALLOW_CREDENTIALS);
    if (this.#origins === '*') {
      response.setHeader(ALLOW_ORIGIN, '*');
      also();
      return;
    }
    // Also for an origin that is not allowed: a cache must not give its answer to others.
    addTo(response, 'Vary', 'Origin');
    // Node makes several Origin headers one text with commas, which is no origin.
    if (origin === undefined || !this.#origins.has(origin)) return;
    response.setHeader(ALLOW_ORIGIN, origin);
    if (this.#credentials) response.setHeader(ALLOW_CREDENTIALS, 'true');
    also();
  }
}
