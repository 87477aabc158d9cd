import { ServerResponse, type IncomingMessage } from 'node:http';
import { SseError } from '../base/error';
import type { Application } from 'egg';
import type { SseRequest } from '../connection/wire';

type Handler = (request: IncomingMessage, response: ServerResponse) => unknown;

// Requests that run again for a context of theirs, with the function that waits for it.
const waiting = new WeakMap<IncomingMessage, (ctx: object) => void>();

/**
 * Makes the context of a request anew: the app's middlewares run for it as they do for a new request, so that session
 * and login are those of now. Rejects with status 403 when a middleware answers the request instead, as one that asks
 * for a login does.
 *
 * An open stream keeps no context of its own: all that hangs on the context would stay in memory with it.
 */
export function renewContext(request: IncomingMessage, handle: Handler): Promise<object> {
  return new Promise((resolve, reject) => {
    const again = withoutBody(request);
    waiting.set(again, resolve);
    // This response goes nowhere: the request's answer is the open stream.
    const response = new ServerResponse(again);
    response.end = () => {
      waiting.delete(again);
      reject(new SseError('ERR_SSE_REFUSED', 'this stream is refused', { status: 403 }));
      return response;
    };
    void handle(again, response);
  });
}

/** A request as a GET: its body was read, with the CSRF token in it, and cannot be read again. */
function withoutBody(request: IncomingMessage): IncomingMessage {
  if (request.method === 'GET') return request;
  const headers = { ...request.headers };
  for (const name of ['content-length', 'content-type', 'transfer-encoding']) delete headers[name];
  return Object.create(request, { method: { value: 'GET' }, headers: { value: headers } }) as IncomingMessage;
}

/** Hands the context of a request that runs again to the code that waits for it; false for any other request. */
export function handOver(request: IncomingMessage, ctx: object): boolean {
  const resolve = waiting.get(request);
  if (resolve === undefined) return false;
  waiting.delete(request);
  resolve(ctx);
  return true;
}

/** Makes the context of a stream's request anew, by the app's middlewares. */
export function contextsOf(app: Application): (request: SseRequest) => Promise<object> {
  let handle: ReturnType<Application['callback']> | undefined;
  return (request) => {
    // Not before the first stream: all middlewares are there by then.
    handle ??= app.callback();
    return renewContext(request as IncomingMessage, handle);
  };
}

/** Makes the context of a stream's request anew in an app that is `early`: no middleware runs, as none ran before. */
export function earlyContextsOf(app: Application): (request: SseRequest) => Promise<object> {
  return async (request) =>
    app.createContext(request as IncomingMessage, new ServerResponse(request as IncomingMessage));
}
