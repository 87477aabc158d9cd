import type { EventEmitter } from 'node:events';
import { ServerResponse, type IncomingMessage } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { Socket } from 'node:net';

/** The response of a request: Node's own, of HTTP/1 or of HTTP/2's compatibility API. */
export type SseResponse = ServerResponse | Http2ServerResponse;

/** The request of a stream: Node's own, of HTTP/1 or of HTTP/2's compatibility API. */
export type SseRequest = IncomingMessage | Http2ServerRequest;

/** Whether nothing can be answered any more. */
export function isOver(response: SseResponse): boolean {
  const { destroyed } = 'stream' in response ? response.stream : response;
  return destroyed || response.headersSent;
}

/** How the bytes of a body leave the process. One serves all responses of its kind. */
export interface Wire {
  /** Writes; false when the response can take no more until what `drains` says so. */
  write(response: SseResponse, bytes: Buffer): boolean;
  /** Bytes that wait in this process for the client to read. */
  unsentBytes(response: SseResponse): number;
  /** What emits `drain`. */
  drains(response: SseResponse): EventEmitter;
}

/** By the response itself: HTTP/2, HTTP/1.0, and a `write` that somebody has taken over. */
class ResponseWire implements Wire {
  write(response: SseResponse, bytes: Buffer): boolean {
    // Both kinds write a Buffer alike, but TypeScript finds no common signature.
    return (response as ServerResponse).write(bytes);
  }

  unsentBytes(response: SseResponse): number {
    return response.writableLength;
  }

  drains(response: SseResponse): EventEmitter {
    return response;
  }
}

/**
 * By the socket, in chunks (RFC 9112, 7.1) that are framed once for all who get the same bytes: one buffer for the kernel,
 * where the response would make three. The last chunk is the response's, by `end`.
 */
class ChunkWire implements Wire {
  #bytes: Buffer | undefined;
  #chunk: Buffer | undefined;

  write(response: SseResponse, bytes: Buffer): boolean {
    const { socket } = response as ServerResponse;
    // A client that has closed its side gets nothing more: to write then would be an error of the app's.
    if (socket?.writable !== true) return false;
    if (bytes !== this.#bytes) {
      this.#bytes = bytes;
      this.#chunk = toChunk(bytes);
    }
    return socket.write(this.#chunk!);
  }

  unsentBytes(response: SseResponse): number {
    return response.socket?.writableLength ?? 0;
  }

  drains(response: SseResponse): EventEmitter {
    return response.socket ?? response;
  }
}

const byResponse = new ResponseWire();
const byChunks = new ChunkWire();

/** The wire of a response whose head is written; sends the head with what is written in this turn. */
export function wireOf(response: SseResponse): Wire {
  if (!(response instanceof ServerResponse) || !isPlain(response)) return byResponse;
  const socket = response.socket!;
  socket.cork();
  response.flushHeaders();
  process.nextTick(uncork, socket);
  return byChunks;
}

/** Whether Node itself would write the body to a socket in chunks: there is none while an answer before it is under way. */
function isPlain(response: ServerResponse): boolean {
  return response.socket !== null && response.chunkedEncoding && response.write === ServerResponse.prototype.write;
}

function uncork(socket: Socket): void {
  socket.uncork();
}

function toChunk(bytes: Buffer): Buffer {
  const head = `${bytes.length.toString(16)}\r\n`;
  const chunk = Buffer.allocUnsafe(head.length + bytes.length + 2);
  chunk.write(head, 'latin1');
  bytes.copy(chunk, head.length);
  chunk.write('\r\n', chunk.length - 2, 'latin1');
  return chunk;
}
