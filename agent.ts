import type { Agent, IBoot } from 'egg';
import { openChannel } from './lib/base/channel';
import { MessengerBridge } from './lib/bridge/messenger';
import { RedisBridge } from './lib/bridge/redis';
import { Arbiter } from './lib/bridge/schedule/arbiter';
import { HostLease } from './lib/bridge/schedule/host_lease';
import type { ToArbiter, ToLeases } from './lib/bridge/schedule/lease';
import { RedisLease } from './lib/bridge/schedule/redis_lease';
import type { ToAgent, ToWorkers } from './lib/broker/messenger/protocol';
import { Sequencer } from './lib/broker/messenger/sequencer';
import { RedisBroker } from './lib/broker/redis/redis_broker';
import { hostOf, workersOf } from './lib/egg/host';
import { AGENT } from './lib/message/reach';
import { checkOptions } from './lib/options/options';
import { Sse } from './lib/sse';

/** The plugin in the agent: it gives the order that the workers share, and can publish itself. */
export default class SseAgentBoot implements IBoot {
  readonly #agent: Agent;
  #workers: ReturnType<typeof workersOf> | undefined;
  #messengerBridge: MessengerBridge | undefined;
  #redisBridge: RedisBridge | undefined;
  #arbiter: Arbiter | undefined;

  constructor(agent: Agent) {
    this.#agent = agent;
  }

  configWillLoad(): void {
    const agent = this.#agent;
    const { baseDir, coreLogger: logger, messenger } = agent;
    const options = checkOptions(agent.config.sse);
    const workers = workersOf(agent, () => sequencer?.beFirst());
    this.#workers = workers;

    // Redis gives the order to all hosts, or else the sequencer to the workers of this one.
    const redis = RedisBroker.of(agent, options, { host: hostOf(agent), serves: false });
    const sequencer = redis ? undefined : new Sequencer(openChannel<ToWorkers, ToAgent>(messenger, workers.send));
    messenger.on('egg-pids', (pids: readonly number[]) => sequencer?.listening(pids));

    agent.sse = new Sse({
      // The sequencer keeps a history for the workers. Without it there is none to keep: no client connects here.
      options: redis ? { ...options, history: false, mailbox: false, runs: false } : options,
      broker: redis ?? sequencer!,
      isAlone: false,
      causeOf: () => AGENT,
      // Runs are kept for the workers; none is produced here.
      producesRuns: false,
      logger,
    });

    this.#messengerBridge = new MessengerBridge(messenger, agent.sse, logger);
    // Workers of an agent that died speak to this one before it has loaded.
    this.#messengerBridge.start(options.bridges.messenger);
    this.#redisBridge = RedisBridge.of(agent, options, agent.sse);

    const leases = openChannel<ToLeases, ToArbiter>(messenger, workers.send);
    this.#arbiter = new Arbiter(
      leases,
      redis ? new RedisLease(redis, { baseDir, logger }) : new HostLease(leases, agent.sse),
    );
  }

  async didLoad(): Promise<void> {
    await this.#agent.sse.start();
    this.#redisBridge?.start();
    this.#arbiter?.start();
  }

  async beforeClose(): Promise<void> {
    this.#workers?.close();
    this.#messengerBridge?.stop();
    await Promise.all([this.#redisBridge?.stop(), this.#arbiter?.stop()]);
    await this.#agent.sse.stop();
  }
}
