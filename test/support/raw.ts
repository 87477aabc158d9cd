import { once } from 'node:events';
import { connect } from 'node:net';

/** A client that sends bytes as they are, and collects what comes back. */
export interface RawClient {
  write(text: string | Buffer): void;
  read(): string;
  /** Leaves. */
  end(): void;
  /** Whether the connection is over. */
  ended(): boolean;
}

/** Connects one, and sends its first bytes. */
export async function raw(port: number, text: string): Promise<RawClient> {
  const socket = connect(port, '127.0.0.1');
  let received = '';
  let ended = false;
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => (received += chunk));
  socket.on('close', () => (ended = true));
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(text);
  return {
    write: (more) => void socket.write(more),
    read: () => received,
    end: () => socket.destroy(),
    ended: () => ended,
  };
}
