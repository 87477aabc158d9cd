import path from 'node:path';
import type { EggAppConfig, PowerPartial } from 'egg';

export default (): PowerPartial<EggAppConfig> => ({
  // Beside the app's own files, which are at /public/.
  static: { dirs: [{ prefix: '/proof/', dir: path.join(__dirname, '../app/public') }] },
});
