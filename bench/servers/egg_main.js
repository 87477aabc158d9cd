'use strict';

// The master of an Egg cluster: a file of its own, since workers inherit how their master was started.
const { dirname } = require('node:path');
const { startCluster } = require('egg');

// A cluster does not outlive the benchmark.
process.stdin.once('end', () => process.kill(process.pid, 'SIGTERM')).resume();
// Then nobody reads what it prints, and Egg would print that error, too.
for (const output of [process.stdout, process.stderr]) output.on('error', () => process.exit(1));

startCluster({
  ...JSON.parse(process.env.BENCH_CLUSTER),
  framework: dirname(require.resolve('egg/package.json')),
});
