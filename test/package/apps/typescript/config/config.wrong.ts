import type { EggAppConfig, PowerPartial } from 'egg';

export default (): PowerPartial<EggAppConfig> => ({
  // @ts-expect-error: what stops the app at boot is refused before that
  sse: { maxClients: 'many' },
});
