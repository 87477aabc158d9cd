import path from 'node:path';
import type { EggAppConfig, EggAppInfo, PowerPartial } from 'egg';

const { DEMO_HOSTS } = process.env;

export default ({ baseDir }: EggAppInfo): PowerPartial<EggAppConfig> => ({
  // The ports of all hosts, when there are several: the page is connected to each of them.
  proof: { hosts: DEMO_HOSTS === undefined ? [] : DEMO_HOSTS.split(',').map(Number) },

  // The proof's files, beside the app's own at /public/.
  static: { dirs: [{ prefix: '/proof/', dir: path.join(__dirname, '../app/public') }] },
  view: { root: [path.join(baseDir, 'app/view'), path.join(__dirname, '../app/view')].join(',') },
});

declare module 'egg' {
  interface EggAppConfig {
    proof: { hosts: readonly number[] };
  }
}
