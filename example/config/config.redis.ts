import type { EggAppConfig, PowerPartial } from 'egg';

/** What differs when the app runs on several hosts, and all that egg-sse needs to reach each of them. `EGG_SERVER_SCOPE=redis` has Egg read it. */
export default (): PowerPartial<EggAppConfig> => ({
  sse: { redis: { host: process.env.REDIS_HOST, port: Number(process.env.REDIS_PORT) } },
});
