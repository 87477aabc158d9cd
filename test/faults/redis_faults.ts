import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '../support/eventually';
import type { Proxy } from '../support/proxy';
import type { RedisServer } from '../support/redis_server';
import type { LinkFault, StoreFault } from './kinds';
import { stateOf } from './process_faults';
import type { Scene } from './scene';

// Every so many times it is stopped until everyone has given it up.
const GIVEN_UP_EVERY = 10;

/** Breaks Redis; resolves when it orders messages again. `n` counts faults of this kind from 1. */
export async function breakStore(kind: StoreFault, n: number, scene: Scene, random: () => number): Promise<void> {
  const { links, redis } = scene.deployment;
  // Otherwise nobody would notice.
  await eventually(() => links.some(({ open }) => open > 0), 'a host is connected');
  await {
    redisStop: () => stop(redis!, n, scene, random),
    redisKill: () => kill(redis!, scene),
    clientKill: () => killClients(redis!, scene),
    memoryFull: () => fillMemory(redis!, scene, random),
  }[kind]();
  await scene.isServed();
}

/** Breaks the link of some host. */
export async function breakLink(kind: LinkFault, scene: Scene, random: () => number): Promise<void> {
  const { links } = scene.deployment;
  const link = links[Math.floor(random() * links.length)]!;
  await eventually(() => link.open > 0, 'the host is connected');
  scene.breaks();
  if (kind === 'linkCut') await cut(link, random);
  else await delay(link, random);
}

async function stop(redis: RedisServer, n: number, scene: Scene, random: () => number): Promise<void> {
  const { links } = scene.deployment;
  const { pid } = redis;
  scene.breaks();
  redis.pause();
  await eventually(() => stateOf(pid) === 'T', 'Redis is stopped');
  const publish = scene.publish();
  const ended = links.map((link) => link.ended);
  await pause(200 + 1_800 * random());
  if (n % GIVEN_UP_EVERY === 2) {
    await eventually(() => links.every((link, i) => link.ended > ended[i]!), 'every host has given it up');
  }
  if (stateOf(pid) !== 'T') scene.hadNoEffect(`Redis went on by itself: ${stateOf(pid)}`);
  if (publish.acknowledged) scene.hadNoEffect('a message was ordered by a Redis that was stopped');
  redis.continue();
}

async function kill(redis: RedisServer, scene: Scene): Promise<void> {
  const { links } = scene.deployment;
  const { pid } = redis;
  const ended = endedOf(links);
  scene.breaks();
  await redis.kill();
  await eventually(() => endedOf(links) > ended, 'a host has noticed');
  await redis.restart();
  if (redis.pid === pid || stateOf(pid) !== '') scene.hadNoEffect(`Redis ${pid} lives`);
}

async function killClients(redis: RedisServer, scene: Scene): Promise<void> {
  const { links } = scene.deployment;
  const ended = endedOf(links);
  scene.breaks();
  const killed = Number(await redis.admin.client('KILL', 'TYPE', 'normal'));
  if (killed === 0) scene.hadNoEffect('there was no connection to kill');
  else await eventually(() => endedOf(links) > ended, 'a host has noticed');
}

async function fillMemory(redis: RedisServer, scene: Scene, random: () => number): Promise<void> {
  const refused = await refusalsOf(redis);
  scene.breaks();
  await redis.admin.config('SET', 'maxmemory-policy', 'noeviction', 'maxmemory', 1);
  await eventually(async () => (await refusalsOf(redis)) > refused, 'something was refused for want of memory');
  const publish = scene.publish();
  await pause(500 * random());
  if (publish.acknowledged) scene.hadNoEffect('a message was ordered by a Redis that was full');
  await redis.admin.config('SET', 'maxmemory', 0);
}

async function cut(link: Proxy, random: () => number): Promise<void> {
  const { refused } = link;
  link.cut();
  await eventually(() => link.refused > refused, 'the host has tried again');
  await pause(1_500 * random());
  link.mend();
}

async function delay(link: Proxy, random: () => number): Promise<void> {
  const { lateBytes } = link;
  link.delay = 50 + 450 * random();
  await eventually(() => link.lateBytes > lateBytes, 'bytes were late');
  await pause(500 + 1_500 * random());
  link.delay = 0;
}

function endedOf(links: readonly Proxy[]): number {
  return links.reduce((sum, { ended }) => sum + ended, 0);
}

/** How often Redis refused something for want of memory since it started. */
async function refusalsOf(redis: RedisServer): Promise<number> {
  const stats = await redis.admin.info('errorstats');
  return Number(/errorstat_OOM:count=(\d+)/.exec(stats)?.[1] ?? 0);
}
