import { startCluster } from 'egg';

// A cluster does not outlive the test that started it.
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));

await startCluster(JSON.parse(process.env.FIXTURE_CLUSTER));
