// The master of a test's cluster: a file of its own, since workers inherit how their master was started.
import { startCluster } from 'egg';

const { baseDir, workers, port } = JSON.parse(process.env.FIXTURE_CLUSTER!) as {
  baseDir: string;
  workers: number;
  port: number;
};
startCluster({ baseDir, workers, port, typescript: true }, () => process.send?.({ action: 'egg-ready' }));
