import type { ServerResponse } from 'node:http';
import type { Authorizer } from '../access/authorizer';
import { SseError } from '../base/error';
import type { SseLogger } from '../base/logger';
import type { Feed } from '../connection/connection';
import type { SseRequest, SseResponse } from '../connection/wire';
import type { Events } from '../hub/events';
import type { Joins } from '../hub/join';
import type { Joined, Joining } from '../hub/joining';
import { run as keyOf } from '../message/keys';
import { checkOpenOptions, type OpenOptions } from '../options/open';
import type { SseOptions } from '../options/options';
import { Answers } from './answers';
import { acceptsGzip } from './headers';
import { readOpened, readRequest, type Asked } from './request';
import { SseStream, streamOf } from './stream';

/** What a stream is to be, besides what its client asks for. */
type Settings = Pick<Joining, 'isPrivate' | 'run' | 'retry' | 'feed' | 'data'> & Pick<OpenOptions, 'headers'>;

/** Answers requests for a stream, from the first byte on. */
export class Endpoint {
  readonly #options: SseOptions;
  readonly #authorizer: Authorizer;
  readonly #joins: Joins;
  readonly #answers: Answers;
  readonly #logger: SseLogger;

  constructor(parts: { options: SseOptions; authorizer: Authorizer; joins: Joins; events: Events; logger: SseLogger }) {
    this.#options = parts.options;
    this.#authorizer = parts.authorizer;
    this.#joins = parts.joins;
    this.#answers = new Answers(parts.options, parts.events);
    this.#logger = parts.logger;
  }

  /** Answers a method that opens no stream, a CORS preflight with 204 and any other with 405; says whether it did. */
  answerMethod(request: SseRequest, response: SseResponse): boolean {
    return this.#answers.method(request, response);
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
      this.#answers.turnAway(request, response, error);
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
        this.#answers.turnAway(request, response, refusal);
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
    const joining: Joining = { ...admission, ...rest, asked: keys, lastEventId, showsKeys, newKeys };
    const joined = await this.#joins.join(joining, {
      response,
      isHead: request.method === 'HEAD',
      takesGzip: acceptsGzip(request.headers['accept-encoding']),
      writeHead: (compressed) => this.#answers.head(request, response, { headers, compressed, user: joining.user }),
    });
    if (typeof joined === 'object') return joined;
    if (joined === 'head') response.end();
    if (joined === 'all') this.#answers.nothing(request, response);
    return undefined;
  }

  #toFailure(error: unknown): SseError {
    this.#logger.error(new Error('a stream could not be opened', { cause: error }));
    return new SseError('ERR_SSE_FAILED', 'the stream could not be opened', { status: 500 });
  }
}
