import type { IncomingMessage, ServerResponse } from 'node:http';
import { answerByStream, type KoaContext } from './answer';
import { handOver } from './context';
import type { Endpoint } from '../http/endpoint';
import type { OpenOptions } from '../options/open';
import { SseStream } from '../http/stream';

/** The part of Egg's `ctx` that becomes a stream. */
type RequestContext = KoaContext & { readonly req: IncomingMessage; readonly res: ServerResponse };

/** `ctx.sse`: makes a stream of a controller's request. */
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
   * shutdown apply as at the stream endpoint: a client that is not let in gets the reason as answer, and the stream is
   * over.
   *
   * Throws `SseError`, nothing done: `ERR_SSE_OPTIONS`, the error of a `first` that cannot be sent, and `ERR_SSE_OPEN`
   * when the request is answered already.
   */
  open(options?: OpenOptions): SseStream {
    const ctx = this.#ctx;
    // This request may only run again for the authorizer, while its stream is open: it must not be answered twice.
    const stream = handOver(ctx.req, ctx) ? SseStream.none() : this.#endpoint.open(ctx.req, ctx.res, options, ctx);
    answerByStream(ctx, stream);
    return stream;
  }
}
