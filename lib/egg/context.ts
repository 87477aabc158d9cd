import { ServerResponse, type IncomingMessage } from 'node:http';
import { SseError } from '../base/error';
import type { Application } from 'egg';
import type { SseRequest } from '../connection/wire';

type Handler = (request: IncomingMessage, response: ServerResponse) => unknown;

// Requests whose context is asked for, and who waits for it.
const waiting = new WeakMap<IncomingMessage, (ctx: object) => void>();

/**
 * Makes the context of a request anew: an app's middlewares run for it as they do for a new request, so that session and
 * login are those of now. Rejects with status 403 when a middleware answers it instead, as one that asks for a login.
 *
 * An open stream keeps no context, which would keep all that hangs on it.
 */
export function renewContext(request: IncomingMessage, handle: Handler): Promise<object> {
  return new Promise((resolve, reject) => {
    const again = withoutBody(request);
    waiting.set(again, resolve);
    // Nobody reads it: the request has been answered by the stream.
    const response = new ServerResponse(again);
    response.end = () => {
      waiting.delete(again);
      reject(new SseError('ERR_SSE_REFUSED', 'this stream is refused', { status: 403 }));
      return response;
    };
    void handle(again, response);
  });
}

/** A request as a GET: its body has been read, and cannot be again, nor a CSRF token in it. */
function withoutBody(request: IncomingMessage): IncomingMessage {
  if (request.method === 'GET') return request;
  const headers = { ...request.headers };
  for (const name of ['content-length', 'content-type', 'transfer-encoding']) delete headers[name];
  return Object.create(request, { method: { value: 'GET' }, headers: { value: headers } }) as IncomingMessage;
}

/** Hands a context over if it was made anew; says whether it was. */
export function handOver(request: IncomingMessage, ctx: object): boolean {
  const resolve = waiting.get(request);
  if (resolve === undefined) return false;
  waiting.delete(request);
  resolve(ctx);
  return true;
}

/** What makes the context of a stream's request anew. */
export function contextsOf(app: Application): (request: SseRequest) => Promise<object> {
  let handle: ReturnType<Application['callback']> | undefined;
  return (request) => {
    // All middlewares are there when the first stream is.
    handle ??= app.callback();
    return renewContext(request as IncomingMessage, handle);
  };
}

/** The same, where no middleware has run for it. */
export function earlyContextsOf(app: Application): (request: SseRequest) => Promise<object> {
  return async (request) =>
    app.createContext(request as IncomingMessage, new ServerResponse(request as IncomingMessage));
}
