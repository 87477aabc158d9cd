import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';

const MAX_PORT = 65_535;

/** The port asked for (0: any), once it is known to be free; throws with a text for the terminal when it is not. */
export async function freePort(asked: string): Promise<number> {
  const port = Number(asked);
  if (!/^\d+$/.test(asked) || port > MAX_PORT) {
    throw new Error(`PORT is "${asked}"; it must be a number between 0 and ${MAX_PORT}, 0 for any free port`);
  }
  try {
    return await listenOnce(port);
  } catch (error) {
    if (!isTaken(error)) throw error;
    const command = `npm ${process.env.npm_lifecycle_event === 'start:redis' ? 'run start:redis' : 'start'}`;
    throw new Error(`port ${port} is taken; choose another one: PORT=${port + 1} ${command}`, { cause: error });
  }
}

/** The first free port from one on. */
export async function nextFreePort(first: number): Promise<number> {
  try {
    return await listenOnce(first);
  } catch (error) {
    if (!isTaken(error)) throw error;
    return nextFreePort(first + 1);
  }
}

async function listenOnce(port: number): Promise<number> {
  const server = createServer();
  server.listen(port);
  await once(server, 'listening');
  const { port: free } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return free;
}

function isTaken(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
}
