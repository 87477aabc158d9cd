import './ctrl_c';
import path from 'node:path';
import { startCluster } from 'egg';

// The environment that the demo needs, so that nobody has to set it. Egg's processes inherit it.
process.env.NODE_ENV = 'production';
process.env.EGG_SERVER_ENV = 'prod';
process.env.EGG_TYPESCRIPT = 'true';
// The terminal is for the address and for errors; the rest is in example/logs.
process.env.EGG_MASTER_LOGGER_LEVEL ??= 'ERROR';
process.env.EGG_AGENT_WORKER_LOGGER_LEVEL ??= 'ERROR';
process.env.EGG_APP_WORKER_LOGGER_LEVEL ??= 'ERROR';
// Spelled as egg-logger reads it.
process.env.NODE_CONSOLE_LOGGRE_LEVEL ??= 'ERROR';
// Egg's cluster uses it for one thing: to tell of each worker that ends as it should.
console.info = () => {};

const APP = path.join(__dirname, '../..');
const PROOF = path.join(__dirname, '..');

/**
 * Starts one host in this process: Egg's master, its agent and two workers. The proof is a plugin that only this start plugs
 * in: the app does not know of it.
 */
export function startHost(port: number, onReady: () => void = () => {}): void {
  startCluster(
    {
      baseDir: APP,
      plugins: { proof: { enable: true, path: PROOF } },
      workers: 2,
      port,
      typescript: true,
      require: [require.resolve('./ctrl_c')],
    },
    onReady,
  );
}
