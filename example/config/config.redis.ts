import type { EggAppConfig, PowerPartial } from 'egg';

/** Several hosts: a Redis between them is all that egg-sse needs. `EGG_SERVER_SCOPE=redis` has Egg read this file. */
export default (): PowerPartial<EggAppConfig> => ({
  sse: { redis: { host: process.env.REDIS_HOST, port: Number(process.env.REDIS_PORT) } },
});
