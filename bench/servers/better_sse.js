'use strict';

// better-sse on node:http, a channel for each key.
const { createServer } = require('node:http');
const { createChannel, createSession } = require('better-sse');
const { control, keysOf, PING_MS } = require('./control');

const channels = new Map();

const server = createServer(async (request, response) => {
  const keys = keysOf(request);
  const session = await createSession(request, response, { keepAlive: PING_MS });
  for (const key of keys) {
    if (!channels.has(key)) channels.set(key, createChannel());
    channels.get(key).register(session);
  }
});

server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
  control(server.address().port, {
    count: () => [...channels.values()].reduce((sum, channel) => sum + channel.sessionCount, 0),
    send: (key, data) => channels.get(key)?.broadcast(data),
  }),
);
