'use strict';

const { join } = require('node:path');

const dir = process.env.BENCH_DIR;

module.exports = () => ({
  keys: 'bench',
  logger: { dir: join(dir, 'logs'), level: 'WARN', consoleLevel: 'NONE', disableConsoleAfterReady: true },
  rundir: join(dir, 'run'),
  ...JSON.parse(process.env.BENCH_CONFIG),
});
