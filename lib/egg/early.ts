import type { AsyncLocalStorage } from 'node:async_hooks';
import type { IncomingMessage, ServerResponse } from 'node:http';

type Handler = (request: IncomingMessage, response: ServerResponse) => unknown;

/** The part of Egg's context that is used here. */
interface KoaContext {
  onerror(error: Error): void;
}

/** The part of Egg's app that is used here. */
interface KoaApp<Ctx extends KoaContext> {
  callback(): Handler;
  createContext(request: IncomingMessage, response: ServerResponse): unknown;
  readonly ctxStorage: AsyncLocalStorage<Ctx>;
}

// Shared by all requests: there may be very many.
const NONE: string[] = [];
const NO_HEADERS = {};

/**
 * Has `serve` answer GET and HEAD of a path before any middleware, and before Koa ties a context to the response, which
 * would stay in memory for as long as the response is open. `serve` gets a new context, which is free when it is done.
 */
export function answerEarly<Ctx extends KoaContext>(
  app: KoaApp<Ctx>,
  path: string,
  serve: (request: IncomingMessage, response: ServerResponse, ctx: Ctx) => Promise<void>,
): void {
  const { callback } = app;
  app.callback = () => {
    const handle = callback.call(app);
    return (request, response) => {
      if (!isFor(path, request)) return handle(request, response);
      const ctx = app.createContext(request, response) as Ctx;
      return app.ctxStorage.run(ctx, () => serve(request, response, ctx).catch((error: Error) => ctx.onerror(error)));
    };
  };
}

/**
 * Lets go of a request's headers, which Node keeps twice, raw and parsed, for as long as the answer is open.
 * `isAskedAgain`: the authorizer may read the parsed ones again, so only the raw ones go.
 */
export function forgetHeaders(request: IncomingMessage, isAskedAgain: boolean): void {
  // The headers of an HTTP/2 request cannot be replaced.
  if (request.httpVersionMajor !== 1) return;
  request.rawHeaders = NONE;
  if (!isAskedAgain) request.headers = NO_HEADERS;
}

function isFor(path: string, { method, url = '' }: IncomingMessage): boolean {
  if (method !== 'GET' && method !== 'HEAD') return false;
  return url.startsWith(path) && (url.length === path.length || url[path.length] === '?');
}
