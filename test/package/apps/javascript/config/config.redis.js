'use strict';

const client = { host: '127.0.0.1', port: process.env.REDIS_PORT, password: '', db: '0' };

module.exports = {
  redis: { clients: { sse: client, news: client } },
  sse: { redis: { client: 'sse' } },
};
