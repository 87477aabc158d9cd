import type { ServerResponse } from 'node:http';
import { type Http2ServerRequest, constants } from 'node:http2';
import type { SseResponse, SseRequest } from '../connection/wire';
import { SseError } from '../base/error';

/** The bounds of a request's body. */
export interface BodyBounds {
  readonly maxBytes: number;
  /** ms until all of it must have arrived */
  readonly timeout: number;
}

// A refused body is read on within these bounds, so that its sender gets to read the refusal: a socket that is closed with
// unread bytes in it is reset, and the answer is lost.
const LINGER_BYTES = 1024 * 1024;
const LINGER_MS = 2_000;

/**
 * Reads a body; `undefined` when the client left meanwhile.
 *
 * Rejects with `SseError` as soon as there are more than `maxBytes` (`ERR_SSE_TOO_LARGE`, 413) or `timeout` is over
 * (`ERR_SSE_TOO_SLOW`, 408).
 */
export function readBody(request: SseRequest, { maxBytes, timeout }: BodyBounds): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    if (declaredBytes(request) > maxBytes) {
      reject(tooLarge(`the body has ${declaredBytes(request)} bytes`, maxBytes));
      return;
    }
    const chunks: Buffer[] = [];
    let bytes = 0;
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes > maxBytes) refuse(tooLarge(`the body has more than ${maxBytes} bytes`, maxBytes));
    };
    const stop = (): void => {
      clearTimeout(timer);
      request.off('data', onData);
      request.pause();
    };
    const refuse = (error: SseError): void => {
      stop();
      reject(error);
    };
    const leave = (): void => {
      stop();
      resolve(undefined);
    };
    const timer = setTimeout(() => {
      const text = `only ${bytes} bytes of the body came in ${timeout} ms: send it faster, or raise config.sse.publisher.timeout`;
      refuse(new SseError('ERR_SSE_TOO_SLOW', text, { status: 408 }));
    }, timeout);
    const end = (): void => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks));
    };
    request.on('data', onData).once('end', end).once('error', leave).once('close', leave);
  });
}

/**
 * Sends an answer whose head is set, whether or not the request's body was read. The client can read it even while it is
 * still sending: the rest of the body is read and thrown away, up to a bound. A connection with more rest than that ends.
 */
export function endWith(request: SseRequest, response: SseResponse, status: number, body: Buffer): void {
  if (isHttp2(request)) {
    response.writeHead(status);
    // RFC 9113, 8.1: the answer is complete, and the client need not send the rest.
    if (!request.complete) response.once('finish', () => request.stream.close(constants.NGHTTP2_NO_ERROR));
    response.end(body);
    return;
  }
  // The rest of a small body arrives soon, but not that of one that has been too slow already.
  const closes = !request.complete && (status === 408 || !(declaredBytes(request) <= LINGER_BYTES));
  if (closes) response.setHeader('Connection', 'close');
  response.writeHead(status);
  if (closes) {
    // Node closes the socket when the response ends, so it ends later. Content-Length tells the client that it has it all.
    (response as ServerResponse).write(body);
    discardRest(request, () => response.end());
  } else {
    response.end(body);
    if (!request.complete) discardRest(request, () => undefined);
  }
}

/** Reads what a client still sends, up to a bound, then calls back; a client that is not done by then is cut off. */
function discardRest(request: SseRequest, onEnd: () => void): void {
  let bytes = 0;
  const end = (): void => {
    clearTimeout(timer);
    request.off('data', onData).off('end', end).off('close', end);
    onEnd();
    if (!request.complete) request.destroy();
  };
  const timer = setTimeout(end, LINGER_MS);
  const onData = (chunk: Buffer): void => {
    bytes += chunk.length;
    if (bytes > LINGER_BYTES) end();
  };
  request.on('data', onData).once('end', end).once('close', end).resume();
}

/** The length that the request declares; NaN if it declares none. */
function declaredBytes(request: SseRequest): number {
  return Number(request.headers['content-length']);
}

function isHttp2(request: SseRequest): request is Http2ServerRequest {
  return request.httpVersionMajor >= 2;
}

function tooLarge(what: string, maxBytes: number): SseError {
  return new SseError(
    'ERR_SSE_TOO_LARGE',
    `${what}; it may have ${maxBytes}: send less, or raise config.sse.publisher.maxBytes`,
    {
      status: 413,
    },
  );
}
