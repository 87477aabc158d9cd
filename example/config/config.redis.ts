import path from 'node:path';
import type { EggAppConfig, EggAppInfo, PowerPartial } from 'egg';

/** What differs when the app runs on several hosts: `npm run start:redis` has Egg read it, and says what is here. */
export default (appInfo: EggAppInfo): PowerPartial<EggAppConfig> => {
  const { PORT, DEMO_HOSTS = '', DEMO_REDIS = '' } = process.env;
  const colon = DEMO_REDIS.lastIndexOf(':');
  return {
    // All that egg-sse needs to reach every host.
    sse: { redis: { host: DEMO_REDIS.slice(0, colon), port: Number(DEMO_REDIS.slice(colon + 1)) } },

    // Demo only: the page is connected to both hosts, which here are two ports of one machine.
    hosts: DEMO_HOSTS.split(',').map(Number),
    middleware: ['otherHosts'],
    logger: { dir: path.join(appInfo.baseDir, 'logs', String(PORT)) },
  };
};
