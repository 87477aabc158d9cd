import type { EggAppConfig, PowerPartial } from 'egg';

export default (): PowerPartial<EggAppConfig> => ({
  keys: 'a secret of this test',
  middleware: ['visit', 'late'],
  sse: { path: '/stream', maxClients: 100, overload: 'retry', history: false },
});
