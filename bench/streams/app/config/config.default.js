'use strict';

const { join } = require('node:path');

const runDir = process.env.FIXTURE_DIR;

module.exports = () => ({
  keys: 'bench',
  logger: { dir: join(runDir, 'logs'), consoleLevel: 'NONE', disableConsoleAfterReady: true },
  rundir: join(runDir, 'run'),
  ...JSON.parse(process.env.FIXTURE_CONFIG),
});
