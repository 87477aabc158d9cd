'use strict';

// node:http as it is: `res.write` of one string to each client.
const { createServer } = require('node:http');
const { control, keysOf, PING_MS } = require('./control');

const pools = new Map();

const server = createServer((request, response) => {
  const keys = keysOf(request);
  for (const key of keys) {
    if (!pools.has(key)) pools.set(key, new Set());
    pools.get(key).add(response);
  }
  response.on('close', () => keys.forEach((key) => pools.get(key).delete(response)));
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
  response.flushHeaders();
});

const write = (text) => {
  for (const pool of pools.values()) for (const response of pool) response.write(text);
};
setInterval(() => write(': ping\n\n'), PING_MS);

server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
  control(server.address().port, {
    count: () => [...pools.values()].reduce((sum, pool) => sum + pool.size, 0),
    send(key, data) {
      const text = `data: ${data}\n\n`;
      for (const response of pools.get(key) ?? []) response.write(text);
    },
  }),
);
