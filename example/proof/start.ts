import { startHost } from './hosts/cluster';
import { freePort } from './hosts/free_port';

async function start(): Promise<void> {
  const port = await freePort(process.env.PORT ?? '7001');
  startHost(port, () => console.log(`egg-sse demo: open http://127.0.0.1:${port}/`));
}

start().catch((error: Error) => {
  console.error(`egg-sse demo: ${error.message}`);
  process.exitCode = 1;
});
