import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

// The first port that a system gives to outgoing connections.
const EPHEMERAL = 32_768;

// Ports that the tests of some process have chosen, a file each. Test files run at the same time, in several processes.
const CHOSEN = path.join(tmpdir(), 'egg-sse-test-ports');
const chosen = new Set<string>();

process.on('exit', () => {
  for (const file of chosen) rmSync(file, { force: true });
});

/**
 * A free port, for a server that listens some seconds later. It is below the ports of outgoing connections, so that no
 * client is given it, and no other call gets it as long as this process lives. With `room`, the port that is so many above
 * it is free, too.
 */
export async function freePort(room = 0): Promise<number> {
  const port = randomInt(20_000, EPHEMERAL - room);
  for (const each of new Set([port, port + room])) {
    if (!choose(each) || !(await isFree(each))) return freePort(room);
  }
  return port;
}

/** Chooses a port for this process; says whether no other process that lives has. */
function choose(port: number): boolean {
  const file = path.join(CHOSEN, String(port));
  mkdirSync(CHOSEN, { recursive: true });
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' });
  } catch {
    if (isAlive(file)) return false;
    writeFileSync(file, String(process.pid));
  }
  chosen.add(file);
  return true;
}

/** Whether the process that wrote a file lives. */
function isAlive(file: string): boolean {
  try {
    return process.kill(Number(readFileSync(file, 'utf8')), 0);
  } catch {
    return false;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port);
  try {
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  }
  server.close();
  await once(server, 'close');
  return true;
}
