'use strict';

// @fastify/sse: it has no way to send to many, so this does what its documentation leaves to the app.
const fastify = require('fastify')();
const { control, keysOf, PING_MS } = require('./control');

const pools = new Map();
const ignore = () => undefined;

fastify.register(require('@fastify/sse'), { heartbeatInterval: PING_MS });
fastify.after(() => {
  fastify.get('/stream', { sse: true }, async (request, reply) => {
    const keys = keysOf(request.raw);
    reply.sse.keepAlive();
    reply.sse.sendHeaders();
    reply.raw.flushHeaders();
    for (const key of keys) {
      if (!pools.has(key)) pools.set(key, new Set());
      pools.get(key).add(reply.sse);
    }
    reply.sse.onClose(() => keys.forEach((key) => pools.get(key).delete(reply.sse)));
  });
});

fastify.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }).then(() =>
  control(fastify.server.address().port, {
    count: () => [...pools.values()].reduce((sum, pool) => sum + pool.size, 0),
    send(key, data) {
      for (const sse of pools.get(key) ?? []) sse.send({ data }).catch(ignore);
    },
  }),
);
