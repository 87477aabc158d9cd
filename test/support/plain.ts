import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import config from '../../config/config.default';
import { Publisher } from '../../lib/bridge/publisher';
import type { Broker } from '../../lib/order/broker';
import { MemoryBroker } from '../../lib/broker/memory';
import { REQUEST } from '../../lib/message/reach';
import { clientPathOf, serveClient } from '../../lib/http/client_script';
import { Cors } from '../../lib/http/cors';
import { checkOptions, type SseOptions } from '../../lib/options/options';
import { Sse } from '../../lib/sse';

/** The core on plain `node:http`: no Egg, a free port, and the memory broker unless another is given. */
export interface PlainServer {
  readonly sse: Sse;
  readonly server: Server;
  readonly port: number;
  readonly url: string;
  readonly logged: string[];
  close(): Promise<void>;
}

/** Options of the plugin's own defaults, some of them overridden. */
export function optionsWith(overrides: Partial<Record<keyof SseOptions, unknown>> = {}): SseOptions {
  return checkOptions({ ...config.sse, ...overrides });
}

/** Starts one. */
export async function startPlain(
  overrides: Partial<Record<keyof SseOptions, unknown>> = {},
  broker?: Broker,
  port = 0,
): Promise<PlainServer> {
  const logged: string[] = [];
  const log = (message: string | Error): void =>
    void logged.push(typeof message === 'string' ? message : inspect(message));
  const options = optionsWith(overrides);
  const sse = new Sse({
    options,
    broker: broker ?? new MemoryBroker(),
    isAlone: broker === undefined,
    causeOf: () => REQUEST,
    logger: { info: log, warn: log, error: log },
  });
  await sse.start();
  const publisher = Publisher.of(sse, options.publisher);
  const cors = Cors.of(options);
  const server = createServer((request, response) => {
    if (request.url === clientPathOf(options.path)) serveClient(request, response);
    else if (request.url?.endsWith('.js') === true) response.writeHead(404).end();
    else if (publisher !== undefined && request.method === 'POST') {
      cors?.apply(request, response);
      void publisher.serve(request, response);
    } else if (!sse.endpoint.answerMethod(request, response)) void sse.endpoint.serve(request, response);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address() as AddressInfo;
  return {
    sse,
    server,
    port: address.port,
    url: `http://127.0.0.1:${address.port}${options.path}`,
    logged,
    async close() {
      await sse.stop();
      server.closeAllConnections();
      server.close();
    },
  };
}

/** For a suite: what starts servers that are closed after its tests. */
export function plainServers(): typeof startPlain {
  const servers: PlainServer[] = [];
  after(() => Promise.all(servers.map((server) => server.close())));
  return async (overrides, broker) => {
    const server = await startPlain(overrides, broker);
    servers.push(server);
    return server;
  };
}
