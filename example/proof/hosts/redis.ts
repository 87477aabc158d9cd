import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import path from 'node:path';
import { freePort } from './free_port';

const ANSWER_MS = 5_000;

/** A Redis that serves. */
export interface Redis {
  readonly host: string;
  readonly port: number;
  /** Rejects when it ends by itself. */
  readonly failed: Promise<never>;
  /** Ends it, if the demo has started it. */
  stop(): Promise<void>;
}

/** News from redis_keeper.ts. */
export type KeeperNews = 'ready' | 'missing' | { readonly failed: string };

/** The Redis at `<host>:<port>`; without that, one that the demo starts. Throws with a text for the terminal. */
export async function openRedis(given: string | undefined): Promise<Redis> {
  return given === undefined ? startRedis() : findRedis(given);
}

async function findRedis(given: string): Promise<Redis> {
  const [, host, port] = /^(.+):(\d+)$/.exec(given) ?? [];
  if (host === undefined) throw new Error(`REDIS is "${given}"; it must be <host>:<port>, such as 127.0.0.1:6379`);
  await ping(host, Number(port)).catch((error: Error) => {
    throw new Error(`no Redis answers at ${given}: ${error.message}`, { cause: error });
  });
  return { host, port: Number(port), failed: new Promise(() => {}), stop: async () => {} };
}

async function ping(host: string, port: number): Promise<void> {
  const socket = connect({ host, port });
  try {
    const signal = AbortSignal.timeout(ANSWER_MS);
    socket.end('PING\r\n');
    const [answer] = (await once(socket, 'data', { signal })) as [Buffer];
    if (!answer.toString().startsWith('+PONG')) throw new Error(answer.toString().trim());
  } finally {
    socket.destroy();
  }
}

async function startRedis(): Promise<Redis> {
  const port = await freePort('0');
  // A group of its own: Ctrl-C goes to all of this one at once, and Redis is the last to go.
  const keeper = fork(path.join(__dirname, 'redis_keeper.ts'), [String(port)], { detached: true });
  const failed = once(keeper, 'exit').then(() => {
    throw new Error('redis-server has ended');
  });
  const [news] = (await Promise.race([once(keeper, 'message'), failed])) as [KeeperNews];
  if (news === 'missing') {
    throw new Error(
      'redis-server is not installed. Install it (Debian, Ubuntu: apt install redis-server; macOS: brew install redis), ' +
        'or say where a Redis runs: REDIS=127.0.0.1:6379 npm run start:redis',
    );
  }
  if (news !== 'ready') throw new Error(`redis-server did not start:\n${news.failed}`);
  return {
    host: '127.0.0.1',
    port,
    failed,
    stop: async () => {
      if (!keeper.connected) return;
      const gone = once(keeper, 'exit');
      keeper.disconnect();
      await gone;
    },
  };
}
