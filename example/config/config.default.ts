import path from 'node:path';
import type { Context, EggAppConfig, EggAppInfo, PowerPartial } from 'egg';

export default (appInfo: EggAppInfo): PowerPartial<EggAppConfig> => ({
  // Signs cookies. A real app takes it from its environment.
  keys: 'egg-sse-example',

  // Beside the app instead of in the home directory; on the terminal only errors.
  logger: { dir: path.join(appInfo.baseDir, 'logs'), consoleLevel: 'ERROR', disableConsoleAfterReady: false },
  // The ticker runs every second: a line for each would fill the disk.
  customLogger: { scheduleLogger: { level: 'WARN' } },

  // File names carry no hash: the browser must ask whether they have changed.
  static: { maxAge: 0, buffer: false },

  bodyParser: { jsonLimit: '16kb' },
  // Errors of the API are JSON, whatever the client accepts.
  onerror: { accepts: (ctx: Context) => (ctx.path.startsWith('/api/') ? 'json' : 'html') },

  // The ports of all hosts, when there are several: see config.redis.ts.
  hosts: [],

  // egg-sse needs no configuration. This: what is for a person waits until they come.
  sse: { mailbox: { keys: ['@user:*'] } },
});
