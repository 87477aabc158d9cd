import type { ServerResponse } from 'node:http';
import type { Authorizer } from '../access/authorizer';
import { SseError } from '../base/error';
import type { SseLogger } from '../base/logger';
import type { Feed } from '../connection/connection';
import type { SseRequest, SseResponse } from '../connection/wire';
import type { Events } from '../hub/events';
import type { Joins } from '../hub/join';
import type { Joined, JoinRequest } from '../hub/joining';
import { run as keyOf } from '../message/keys';
import { checkOpenOptions, type OpenOptions } from '../options/open';
import type { SseOptions } from '../options/options';
import { Answers } from './answers';
import { acceptsGzip } from './headers';
import { readOpened, readRequest, type Asked } from './request';
import { SseStream, streamOf } from './stream';

/** The settings of a stream that its controller makes. */
type Settings = Pick<JoinRequest, 'isPrivate' | 'run' | 'retry' | 'feed' | 'data'> & Pick<OpenOptions, 'headers'>;

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
   * Opens the stream that a request asks for, or answers with a JSON text that says why not. `ctx` is passed to the
   * app's authorizer.
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
   * Makes a request a stream to which its handler can send at once. The client joins, and the head of the answer is
   * written, later; a client that is refused is answered why, as by `serve`.
   *
   * Throws `SseError`, nothing done: `ERR_SSE_OPTIONS`, the error of a `first` that cannot be sent, and `ERR_SSE_OPEN`
   * when the request is answered already.
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
        // The client is to know at once that it is accepted, even if its first message comes much later.
        // Both kinds of response have it, but @types/node knows of one only.
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
   * Lets a client join, and writes the head of its stream; undefined when it wants no more than that, or has left.
   * Throws `SseError` when it is refused.
   */
  async #join(
    request: SseRequest,
    response: SseResponse,
    { asked, ctx, settings = {} }: { asked: Asked; ctx: object; settings?: Settings },
  ): Promise<Joined | undefined> {
    const { headers, ...rest } = settings;
    // Clients come by the thousands at once: an answer that is not needed is not waited for.
    const admission = this.#authorizer.freely(asked.keys) ?? (await this.#authorizer.admit(async () => ctx, asked));
    const { keys, lastEventId, showsKeys, newKeys } = asked;
    const client: JoinRequest = { ...admission, ...rest, asked: keys, lastEventId, showsKeys, newKeys };
    const joined = await this.#joins.join(client, {
      response,
      isHead: request.method === 'HEAD',
      acceptsGzip: acceptsGzip(request.headers['accept-encoding']),
      writeHead: (compressed) => this.#answers.head(request, response, { headers, compressed, user: client.user }),
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
