// The master of a test's cluster: a file of its own, since workers inherit how their master was started.
import { startCluster } from 'egg';

// A cluster does not outlive the test that started it.
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));

const options = JSON.parse(process.env.FIXTURE_CLUSTER!) as object;
startCluster({ ...options, typescript: true }, () => process.send?.({ action: 'egg-ready' }));
