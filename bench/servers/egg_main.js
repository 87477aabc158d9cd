'use strict';

// The master of an Egg cluster: a file of its own, since workers inherit how their master was started.
const { dirname } = require('node:path');
const { startCluster } = require('egg');

// A cluster does not outlive the benchmark.
process.stdin.once('end', () => process.kill(process.pid, 'SIGTERM')).resume();

startCluster({
  ...JSON.parse(process.env.BENCH_CLUSTER),
  framework: dirname(require.resolve('egg/package.json')),
});
