'use strict';

// The master of the benchmark's cluster.
const { startCluster } = require('egg');

// A cluster does not outlive the script that started it.
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));

startCluster(JSON.parse(process.env.FIXTURE_CLUSTER), () => process.send({ action: 'egg-ready' }));
