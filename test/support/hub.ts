import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { createHub, type HubOptions, type SseHub } from '../../lib/create_hub';

/** What answers a request of a hub's server. */
export type Handler = (hub: SseHub, request: IncomingMessage, response: ServerResponse) => unknown;

/** A hub on plain `node:http`, on a free port. */
export interface HubServer {
  readonly hub: SseHub;
  readonly server: Server;
  readonly url: string;
  readonly logged: string[];
  close(): Promise<void>;
}

/** Starts one. */
export async function startHub(handle: Handler, options: HubOptions = {}): Promise<HubServer> {
  const logged: string[] = [];
  const log = (message: string | Error): void =>
    void logged.push(typeof message === 'string' ? message : inspect(message));
  const hub = createHub({ logger: { info: log, warn: log, error: log }, ...options });
  const server = createServer((request, response) => void handle(hub, request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    hub,
    server,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    logged,
    async close() {
      await hub.stop();
      server.closeAllConnections();
      server.close();
    },
  };
}

/** For a suite: what starts servers that are closed after its tests. */
export function hubServers(): typeof startHub {
  const servers: HubServer[] = [];
  after(() => Promise.all(servers.map((server) => server.close())));
  return async (handle, options) => {
    const server = await startHub(handle, options);
    servers.push(server);
    return server;
  };
}
