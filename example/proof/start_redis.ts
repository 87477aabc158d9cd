import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { freePort, nextFreePort } from './hosts/free_port';
import { openRedis, type Redis } from './hosts/redis';

// `npm run start:redis`: two hosts, each an Egg cluster on a port of its own, and a Redis between them.

async function start(): Promise<void> {
  const interrupted = new Promise<undefined>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => resolve(undefined));
  });
  const ports = await twoPorts(process.env.PORT ?? '7001');
  const redis = await Promise.race([interrupted, openRedis(process.env.REDIS)]);
  if (redis === undefined) return;

  const hosts = ports.map((port) => startHost(port, ports, redis));
  try {
    const over = Promise.race([interrupted, redis.failed, ...hosts.map(failed)]);
    const ready = Promise.all(hosts.map(whenReady));
    await Promise.race([over, ready.then(() => tell(ports))]);
    await over;
  } finally {
    // Redis goes last: until then the hosts have something to say.
    await Promise.all(hosts.map(stop));
    await redis.stop();
  }
}

async function twoPorts(asked: string): Promise<[number, number]> {
  const first = await freePort(asked);
  return [first, await (asked === '0' ? freePort('0') : nextFreePort(first + 1))];
}

function startHost(port: number, ports: readonly number[], { host, port: redisPort }: Redis): ChildProcess {
  return fork(path.join(__dirname, 'hosts/host.ts'), {
    env: {
      ...process.env,
      PORT: String(port),
      // Egg reads config/config.redis.ts as well.
      EGG_SERVER_SCOPE: 'redis',
      DEMO_HOSTS: ports.join(','),
      REDIS_HOST: host,
      REDIS_PORT: String(redisPort),
    },
  });
}

/** Resolves when a host is ready, which Egg's master tells the process that has started it. */
async function whenReady(host: ChildProcess): Promise<void> {
  await new Promise<void>((resolve) => {
    host.on('message', ({ action }: { action?: string }) => {
      if (action === 'egg-ready') resolve();
    });
  });
}

/** Rejects when a host ends. */
async function failed(host: ChildProcess, index: number): Promise<never> {
  const [code, signal] = (await once(host, 'exit')) as [number | null, string | null];
  throw new Error(`host ${'AB'[index]} ended with ${signal ?? `code ${code}`}; see the errors above and example/logs`);
}

async function stop(host: ChildProcess): Promise<void> {
  if (host.exitCode !== null || host.signalCode !== null) return;
  host.kill('SIGINT');
  await once(host, 'exit');
}

function tell([first]: readonly number[]): void {
  console.log(`egg-sse demo on two hosts: open http://127.0.0.1:${first}/`);
}

start().then(
  () => process.exit(),
  (error: Error) => {
    console.error(`egg-sse demo: ${error.message}`);
    process.exit(1);
  },
);
