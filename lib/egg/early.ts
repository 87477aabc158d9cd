import type { AsyncLocalStorage } from 'node:async_hooks';
import type { IncomingMessage, ServerResponse } from 'node:http';

type Handler = (request: IncomingMessage, response: ServerResponse) => unknown;

/** What of a context is used here. */
interface KoaContext {
  onerror(error: Error): void;
}

/** What of an app is used here: Koa's, with Egg's storage of the present context. */
interface KoaApp<Ctx extends KoaContext> {
  callback(): Handler;
  createContext(request: IncomingMessage, response: ServerResponse): unknown;
  readonly ctxStorage: AsyncLocalStorage<Ctx>;
}

// The same for all: they are many.
const NONE: string[] = [];
const NO_HEADERS = {};

/**
 * Has `serve` answer GET and HEAD of a path before any middleware, and before Koa hangs a context on the response, for as
 * long as that is open. The context that `serve` gets is new, and nobody's afterwards.
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
 * Lets go of a request's headers, which Node keeps as they came and parsed, for as long as the answer is open; with
 * `isAskedAgain` of those as they came only.
 */
export function forgetHeaders(request: IncomingMessage, isAskedAgain: boolean): void {
  // Those of HTTP/2 cannot be given away.
  if (request.httpVersionMajor !== 1) return;
  request.rawHeaders = NONE;
  if (!isAskedAgain) request.headers = NO_HEADERS;
}

function isFor(path: string, { method, url = '' }: IncomingMessage): boolean {
  if (method !== 'GET' && method !== 'HEAD') return false;
  return url.startsWith(path) && (url.length === path.length || url[path.length] === '?');
}
