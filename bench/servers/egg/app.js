'use strict';

// An app of egg-sse, 2 or 1.0.7: they are published with by the same line.
const { control } = require('../control');

module.exports = class {
  #app;

  constructor(app) {
    this.#app = app;
  }

  serverDidReady() {
    const { sse, config } = this.#app;
    const isOriginal = process.env.BENCH_ORIGINAL === '1';
    const reach = { reach: 'everywhere' };
    control(config.bench?.port ?? Number(process.env.BENCH_PORT), {
      count: () => sse.countAll(),
      send: isOriginal ? (key, data) => sse.publish(key, data) : (key, data) => sse.publish(key, data, reach),
      more: {
        // Publishes one message, and says the id that clients get.
        '/mark': async (query) => (await sse.publish(query.get('key'), 'mark', reach)).id,
        '/stats': () => sse.stats,
      },
    });
  }
};
