import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { Cluster } from '../support/cluster';
import { eventually } from '../support/eventually';
import type { ProcessFault } from './kinds';
import { MasterLooks } from './master_looks';
import type { Scene } from './scene';

/** Breaks a process of Egg's on some host. */
export async function breakProcess(kind: ProcessFault, scene: Scene, random: () => number): Promise<void> {
  if (kind === 'agentKill') await killAgent(scene, random);
  else await breakWorker(kind, scene, random);
}

const looks = new WeakMap<Cluster, MasterLooks>();

async function killAgent(scene: Scene, random: () => number): Promise<void> {
  const { hosts } = scene.deployment;
  const { cluster } = hosts.length === 1 ? hosts[0]! : hosts[Math.floor(random() * hosts.length)]!;
  if (!looks.has(cluster)) looks.set(cluster, new MasterLooks(cluster));
  const master = looks.get(cluster)!;
  await eventually(() => master.mayKill, "Egg's master has found an agent");
  const pid = await cluster.agentPid();
  scene.breaks();
  await cluster.signal(pid, 'SIGKILL');
  if ((await cluster.agentPid()) === pid) scene.hadNoEffect(`agent ${pid} did not die`);
  master.agentStarted();
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

/** The state of a process as the kernel tells it: `T` is stopped, `Z` and `X` are dead; empty when it is gone. */
export function stateOf(pid: number): string {
  const file = `/proc/${pid}/stat`;
  return existsSync(file) ? readFileSync(file, 'utf8').split(') ')[1]!.charAt(0) : '';
}
