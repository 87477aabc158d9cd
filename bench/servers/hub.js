'use strict';

// `createHub` of this package, on node:http: no Egg, and the order in this process.
const { createServer } = require('node:http');
const { control, PING_MS } = require('./control');
const { createHub } = require(process.env.BENCH_PLUGIN);

const hub = createHub({ maxClients: 20_000, pingInterval: PING_MS });
const server = createServer((request, response) => void hub.serve(request, response));

server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
  control(server.address().port, {
    count: () => hub.countAll(),
    send: (key, data) => hub.publish(key, data),
    more: { '/stats': () => hub.stats },
  }),
);
