import path from 'node:path';
import type { EggAppConfig, EggAppInfo, PowerPartial } from 'egg';

const { DEMO_HOSTS, PORT = '' } = process.env;

/** Logs stand beside the app, of several hosts in a folder each; the terminal shows errors only. */
export default ({ baseDir }: EggAppInfo): PowerPartial<EggAppConfig> => ({
  logger: {
    dir: path.join(baseDir, 'logs', DEMO_HOSTS === undefined ? '' : PORT),
    consoleLevel: 'ERROR',
    disableConsoleAfterReady: false,
  },
});
