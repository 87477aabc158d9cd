import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { Cluster } from '../support/cluster';
import { eventually } from '../support/eventually';
import type { ProcessFault } from './kinds';
import type { Scene } from './scene';

/** Breaks a process of Egg's on some host. */
export async function breakProcess(kind: ProcessFault, scene: Scene, random: () => number): Promise<void> {
  if (kind === 'agentKill') await killAgent(scene, random);
  else await breakWorker(kind, scene, random);
}

async function killAgent(scene: Scene, random: () => number): Promise<void> {
  const { hosts } = scene.deployment;
  const { cluster } = hosts.length === 1 ? hosts[0]! : hosts[Math.floor(random() * hosts.length)]!;
  await eventually(() => !masterLooksSoon(cluster), "Egg's master has looked");
  const pid = await cluster.agentPid();
  scene.breaks();
  await cluster.signal(pid, 'SIGKILL');
  if ((await cluster.agentPid()) === pid) scene.hadNoEffect(`agent ${pid} did not die`);
  await scene.isServed();
}

async function breakWorker(kind: 'workerKill' | 'workerStop', scene: Scene, random: () => number): Promise<void> {
  const { deployment, clients } = scene;
  const workers = await deployment.allWorkers();
  const { pid } = workers[Math.floor(random() * workers.length)]!;
  const { cluster } =
    deployment.hosts.find((host) => host.cluster.workers().some((worker) => worker.pid === pid)) ?? {};
  const lives = (): boolean => deployment.workers().some((worker) => worker.pid === pid);
  // Without a client on it, nobody would notice.
  await eventually(() => clients.some(({ worker }) => worker === pid) || !lives(), 'a client is on it');
  if (cluster === undefined || !lives()) return breakWorker(kind, scene, random);
  scene.breaks();
  if (kind === 'workerKill') {
    await cluster.signal(pid, 'SIGKILL');
    await eventually(() => clients.every(({ worker }) => worker !== pid), 'its clients have noticed');
    await deployment.allWorkers();
    if (lives()) scene.hadNoEffect(`worker ${pid} lives`);
    return;
  }
  await cluster.signal(pid, 'SIGSTOP');
  await eventually(() => !['R', 'S', 'D'].includes(stateOf(pid)), 'the worker is stopped or gone');
  await pause(200 + 800 * random());
  const state = stateOf(pid);
  if (state === 'T') await cluster.signal(pid, 'SIGCONT');
  // One that was killed meanwhile does not count as stopped.
  else if (cluster.wasKilled(pid)) await breakWorker(kind, scene, random);
  else scene.hadNoEffect(`worker ${pid} went on by itself: ${state}`);
}

/**
 * Egg's master looks every 10 s, a little late each time, whether there is an agent, and ends the app when there was
 * none three times in a row. Agents that are killed every few seconds must not be missing just then.
 */
function masterLooksSoon(cluster: Cluster): boolean {
  const sinceLook = (performance.now() - cluster.readyAt) % 10_000;
  return sinceLook < 2_000 || sinceLook > 8_500;
}

/** The state of a process as the kernel tells it: `T` is stopped, `Z` and `X` are dead; empty when it is gone. */
export function stateOf(pid: number): string {
  const file = `/proc/${pid}/stat`;
  return existsSync(file) ? readFileSync(file, 'utf8').split(') ')[1]!.charAt(0) : '';
}
