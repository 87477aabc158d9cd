import { startCluster } from 'egg';

// A cluster does not outlive the test that started it.
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));

await startCluster({ workers: 1, port: Number(process.env.PORT) });
