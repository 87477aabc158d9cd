import type { Agent, IBoot } from 'egg';
import { Arbiter } from './lib/bridge/schedule/arbiter';
import { HostLease } from './lib/bridge/schedule/host_lease';
import type { ToArbiter, ToLeases } from './lib/bridge/schedule/lease';
import { MessengerBridge } from './lib/bridge/messenger';
import { RedisBridge } from './lib/bridge/redis';
import { RedisLease } from './lib/bridge/schedule/redis_lease';
import { Sequencer } from './lib/broker/messenger/sequencer';
import { AGENT } from './lib/message/reach';
import { openChannel, pidOf } from './lib/base/channel';
import type { ToWorkers, ToAgent } from './lib/broker/messenger/protocol';
import { RedisBroker } from './lib/broker/redis/redis_broker';
import type { RedisSettings } from './lib/redis/client';
import { redisOf } from './lib/redis/settings';
import { hostOf, localAgents, sendLocally, type LocalAgent } from './lib/egg/host';
import { checkOptions, type SseOptions } from './lib/options/options';
import { type RedisConfig, saysWhere } from './lib/options/redis';
import { Sse } from './lib/sse';

/** What Egg's messenger sends with; its types leave it out. */
interface Sender {
  send(action: string, data: unknown, to: 'app'): void;
}

/** The plugin in the agent: it gives the order that the workers share, and can publish itself. */
export default class SseAgentBoot implements IBoot {
  readonly #agent: Agent;
  #local: LocalAgent | undefined;
  #messengerBridge: MessengerBridge | undefined;
  #redisBridge: RedisBridge | undefined;
  #arbiter: Arbiter | undefined;

  constructor(agent: Agent) {
    this.#agent = agent;
  }

  configWillLoad(): void {
    const agent = this.#agent;
    const { messenger } = agent;
    const options = checkOptions(agent.config.sse);
    let localApp: Parameters<LocalAgent['attach']>[0] | undefined;
    let isStarted = false;
    messenger.once('egg-ready', () => (isStarted = true));
    const send = (name: string, data: unknown, worker?: string): void => {
      if (localApp !== undefined) sendLocally(localApp, name, data);
      else if (isStarted && worker !== undefined) messenger.sendTo(Number(pidOf(worker)), name, data);
      // Until the whole app is started, Egg warns of every sendTo and sendToApp, but workers need the order to start.
      else (messenger as unknown as Sender).send(name, data, 'app');
    };
    const distributed = RedisBroker.of(agent, options, { host: hostOf(agent), serves: false });
    const sequencer =
      distributed === undefined ? new Sequencer(openChannel<ToWorkers, ToAgent>(messenger, send)) : undefined;
    messenger.on('egg-pids', (pids: readonly number[]) => sequencer?.listening(pids));
    this.#local = {
      messenger,
      attach(app) {
        localApp = app;
        sequencer?.beFirst();
      },
    };
    localAgents.set(agent.baseDir, this.#local);
    agent.sse = new Sse({
      // It keeps the workers' history when it gives the order, and has no connections of its own to keep one for.
      options: sequencer === undefined ? { ...options, history: false, mailbox: false, runs: false } : options,
      broker: distributed ?? sequencer!,
      isAlone: false,
      causeOf: () => AGENT,
      // It keeps them for the workers; none are produced here.
      producesRuns: false,
      logger: agent.coreLogger,
    });
    this.#messengerBridge = new MessengerBridge(messenger, agent.sse, agent.coreLogger);
    this.#messengerBridge.start(options.bridges.messenger);
    const { redis } = options.bridges;
    if (redis !== undefined) {
      this.#redisBridge = new RedisBridge(redisOfBridge(agent, options), redis, {
        sse: agent.sse,
        logger: agent.coreLogger,
      });
    }
    const leases = openChannel<ToLeases, ToArbiter>(messenger, send);
    const lease =
      distributed === undefined
        ? new HostLease(leases, agent.sse)
        : new RedisLease(distributed, { baseDir: agent.baseDir, logger: agent.coreLogger });
    this.#arbiter = new Arbiter(leases, lease);
  }

  async didLoad(): Promise<void> {
    await this.#agent.sse.start();
    this.#redisBridge?.start();
    this.#arbiter?.start();
  }

  async beforeClose(): Promise<void> {
    if (localAgents.get(this.#agent.baseDir) === this.#local) localAgents.delete(this.#agent.baseDir);
    this.#messengerBridge?.stop();
    await Promise.all([this.#redisBridge?.stop(), this.#arbiter?.stop()]);
    await this.#agent.sse.stop();
  }
}

/** The Redis of the bridge: its own, or that of the order. */
function redisOfBridge(agent: Agent, options: SseOptions): RedisSettings {
  const { channels: _, patterns: __, ...own } = options.bridges.redis!;
  return saysWhere(own)
    ? redisOf(agent, own, 'config.sse.bridges.redis')
    : redisOf(agent, options.redis as RedisConfig);
}
