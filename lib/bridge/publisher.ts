import { createHash, timingSafeEqual } from 'node:crypto';
import { isOn, type SsePublisher, type SseTarget } from '../options/bridges';
import { type SseResponse, type SseRequest, isOver } from '../connection/wire';
import { SseError, show } from '../base/error';
import { covers, ALL } from '../message/keys';
import { endWith, readBody } from './body';
import { submissionReader } from './submission';
import { publishTo, type Publishing } from './publishing';

// After a 503: a new agent is there in a second or two.
const RETRY_AFTER_S = 2;

/** Publishes messages that other services post, with reach `everywhere`, and answers with the receipt. */
export class Publisher {
  readonly #sse: Publishing;
  readonly #options: SsePublisher;
  readonly #digests: readonly Buffer[];

  private constructor(sse: Publishing, options: SsePublisher) {
    this.#sse = sse;
    this.#options = options;
    this.#digests = [options.secret ?? []].flat().map(digest);
  }

  /** The publisher that `config.sse.publisher` asks for, if it is on. */
  static of(sse: Publishing, options: SsePublisher | false): Publisher | undefined {
    return isOn(options) ? new Publisher(sse, options) : undefined;
  }

  /** Publishes the message of a POST, or refuses it with JSON that says why. */
  async serve(request: SseRequest, response: SseResponse): Promise<void> {
    try {
      this.#authenticate(request);
      const read = submissionReader(request);
      const body = await readBody(request, this.#options);
      if (body === undefined) return;
      const { target, message } = read(body);
      this.#authorize(target);
      answer(request, response, 200, await publishTo(this.#sse, target, message, 'everywhere'));
    } catch (error) {
      if (!(error instanceof SseError)) throw error;
      const { code, message, status } = error;
      // The request was understood, but its message cannot be published: that is a 422.
      answer(request, response, status === 400 ? 422 : status, { code, message });
    }
  }

  #authenticate({ headers: { authorization } }: SseRequest): void {
    const token = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
    if (token === undefined) {
      throw new SseError(
        'ERR_SSE_SECRET',
        'there is no "Authorization: Bearer …"; send the secret of config.sse.publisher',
        {
          status: 401,
        },
      );
    }
    const given = digest(token);
    // Every secret is compared, and by its digest, so that the time this takes tells nothing about any.
    const matches = this.#digests.filter((each) => timingSafeEqual(each, given));
    if (matches.length > 0) return;
    throw new SseError('ERR_SSE_WRONG_SECRET', 'the secret is wrong; send that of config.sse.publisher', {
      status: 401,
    });
  }

  #authorize({ key, all }: SseTarget): void {
    const { keys: allowed } = this.#options;
    if (allowed === null) return;
    const asked: readonly unknown[] = all === true ? [ALL] : [key].flat();
    for (const each of asked) {
      // A value that is no key is left to `publish`, which says what is wrong.
      if (typeof each !== 'string' || allowed.some((pattern) => covers(pattern, each))) continue;
      throw new SseError(
        'ERR_SSE_SCOPE',
        `${all === true ? 'everyone' : `key ${show(each)}`} is not in config.sse.publisher.keys; publish to ${allowed.join(', ')}`,
        { status: 403 },
      );
    }
  }
}

function answer(request: SseRequest, response: SseResponse, status: number, content: object): void {
  if (isOver(response)) return;
  const body = Buffer.from(JSON.stringify(content));
  response.setHeader('Content-Type', 'application/json; charset=utf-8');
  response.setHeader('Content-Length', body.length);
  response.setHeader('Cache-Control', 'no-store');
  const challenge = challengeOf(content);
  if (challenge !== undefined) response.setHeader('WWW-Authenticate', challenge);
  if (status === 503) response.setHeader('Retry-After', RETRY_AFTER_S);
  endWith(request, response, status, body);
}

/** RFC 6750, 3: a request without a token is told only the scheme, and no error. */
function challengeOf({ code }: { code?: string }): string | undefined {
  if (code === 'ERR_SSE_SECRET') return 'Bearer realm="egg-sse"';
  if (code === 'ERR_SSE_WRONG_SECRET') return 'Bearer realm="egg-sse", error="invalid_token"';
  if (code === 'ERR_SSE_SCOPE') return 'Bearer realm="egg-sse", error="insufficient_scope"';
  return undefined;
}

function digest(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}
