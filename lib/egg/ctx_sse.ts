import type { IncomingMessage, ServerResponse } from 'node:http';
import { giveAnswer, type KoaContext } from './answer';
import { handOver } from './context';
import type { Endpoint } from '../http/endpoint';
import type { OpenOptions } from '../options/open';
import { SseStream } from '../http/stream';

/** What of Egg's `ctx` makes a stream. */
type RequestContext = KoaContext & { readonly req: IncomingMessage; readonly res: ServerResponse };

/** `ctx.sse`: what a controller can make of its request. */
export class RequestSse {
  readonly #endpoint: Endpoint;
  readonly #ctx: RequestContext;

  /** @internal */
  constructor(endpoint: Endpoint, ctx: RequestContext) {
    this.#endpoint = endpoint;
    this.#ctx = ctx;
  }

  /**
   * Makes this request, of whatever method, a stream, and returns it at once. The app's authorizer, the limits and the
   * shutdown hold as for the stream endpoint: who is not let in is answered why, and the stream is over.
   *
   * Throws `SseError`, nothing done: `ERR_SSE_OPTIONS`, what a `first` that cannot be sent throws, and `ERR_SSE_OPEN` when
   * the request is answered already.
   */
  open(options?: OpenOptions): SseStream {
    const ctx = this.#ctx;
    // The app's authorizer is asked again about an open stream: its request must not be answered twice.
    const stream = handOver(ctx.req, ctx) ? SseStream.none() : this.#endpoint.open(ctx.req, ctx.res, options, ctx);
    giveAnswer(ctx, stream);
    return stream;
  }
}
