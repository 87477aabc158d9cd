'use strict';

module.exports = { sse: { enable: true, path: process.env.BENCH_PLUGIN } };
