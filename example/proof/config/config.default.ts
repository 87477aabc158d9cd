import path from 'node:path';
import type { EggAppConfig, PowerPartial } from 'egg';

const { DEMO_HOSTS } = process.env;

export default (): PowerPartial<EggAppConfig> => ({
  // The ports of all hosts, when there are several: the page is connected to each of them.
  proof: { hosts: DEMO_HOSTS === undefined ? [] : DEMO_HOSTS.split(',').map(Number) },

  // Beside the app's own files, which are at /public/.
  static: { dirs: [{ prefix: '/proof/', dir: path.join(__dirname, '../app/public') }] },
});

declare module 'egg' {
  interface EggAppConfig {
    proof: { hosts: readonly number[] };
  }
}
