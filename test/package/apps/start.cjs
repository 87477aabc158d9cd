'use strict';

const { startCluster } = require('egg');

// A cluster does not outlive the test that started it.
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));

startCluster(JSON.parse(process.env.FIXTURE_CLUSTER));
