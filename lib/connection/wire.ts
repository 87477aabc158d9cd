import type { EventEmitter } from 'node:events';
import { ServerResponse, type IncomingMessage } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { Socket } from 'node:net';

/** The response of a request: Node's own, of HTTP/1 or of HTTP/2's compatibility API. */
export type SseResponse = ServerResponse | Http2ServerResponse;

/** The request of a stream: Node's own, of HTTP/1 or of HTTP/2's compatibility API. */
export type SseRequest = IncomingMessage | Http2ServerRequest;

/** Whether a response can no longer be answered: its head is out, or its client has left. */
export function isOver(response: SseResponse): boolean {
  const { destroyed } = 'stream' in response ? response.stream : response;
  return destroyed || response.headersSent;
}

/** A way for the bytes of a body to leave the process. One serves all responses of its kind. */
export interface Wire {
  /** Writes; false when the response accepts no more until `drains` emits `drain`. */
  write(response: SseResponse, bytes: Buffer): boolean;
  /** Bytes that wait in this process for the client to read. */
  unsentBytes(response: SseResponse): number;
  /** The emitter of `drain`. */
  drains(response: SseResponse): EventEmitter;
}

/** By the response itself: for HTTP/2, HTTP/1.0, and a `write` that other code has replaced. */
class ResponseWire implements Wire {
  write(response: SseResponse, bytes: Buffer): boolean {
    // Both kinds of response accept a Buffer, but TypeScript finds no common signature.
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
 * By the socket, in chunks (RFC 9112, 7.1) that are framed once for all clients that get the same bytes: one buffer for
 * the kernel, where the response would make three. The last chunk is the response's own, by `end`.
 */
class ChunkWire implements Wire {
  #bytes: Buffer | undefined;
  #chunk: Buffer | undefined;

  write(response: SseResponse, bytes: Buffer): boolean {
    const { socket } = response as ServerResponse;
    // A client that has closed its side gets nothing more: a write would be reported to the app as an error.
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

/** The wire of a response whose head is written. The head leaves together with all that is written in this turn. */
export function wireOf(response: SseResponse): Wire {
  if (!(response instanceof ServerResponse) || !isPlain(response)) return byResponse;
  const socket = response.socket!;
  socket.cork();
  response.flushHeaders();
  process.nextTick(uncork, socket);
  return byChunks;
}

/** Whether Node would write the body to a socket in chunks. There is no socket as long as an earlier answer has it. */
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
