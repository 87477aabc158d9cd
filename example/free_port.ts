import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';

/** The port asked for (0: any), once it is known to be free; throws with a text for the terminal when it is not. */
export async function freePort(asked: string): Promise<number> {
  const port = Number(asked);
  if (!/^\d+$/.test(asked) || port > 65_535) {
    throw new Error(`PORT is "${asked}"; it must be a number between 0 and 65535, 0 for any free port`);
  }
  const server = createServer();
  try {
    server.listen(port);
    await once(server, 'listening');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new Error(
      code === 'EADDRINUSE' ? `port ${port} is taken; choose another one: PORT=${port + 1} npm start` : message,
      { cause: error },
    );
  }
  const { port: free } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return free;
}
