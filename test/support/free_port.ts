import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

// From there on a system gives ports to outgoing connections.
const EPHEMERAL = 32_768;

/**
 * A free port, below those that a system gives to outgoing connections: whoever it is for listens some seconds later, and until
 * then one of the other tests' many clients could be given it. With `room`, so is the port that is so many above it.
 */
export async function freePort(room = 0): Promise<number> {
  const port = randomInt(20_000, EPHEMERAL - room);
  const server = createServer().listen(port);
  try {
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return freePort(room);
    throw error;
  }
  server.close();
  await once(server, 'close');
  return port;
}
