import type { Agent, IBoot } from 'egg';
import { Sequencer } from './lib/broker/sequencer';
import { AGENT } from './lib/cause';
import { openChannel, pidOf, type ToAgent, type ToWorkers } from './lib/channel';
import { localAgents, sendLocally, type LocalAgent } from './lib/local';
import { distribute } from './lib/distribute';
import { checkOptions } from './lib/options';
import { Sse } from './lib/sse';

/** What Egg's messenger sends with; its types leave it out. */
interface Sender {
  send(action: string, data: unknown, to: 'app'): void;
}

/** The plugin in the agent: it gives the order that the workers share, and can publish itself. */
export default class SseAgentBoot implements IBoot {
  readonly #agent: Agent;
  #local: LocalAgent | undefined;

  constructor(agent: Agent) {
    this.#agent = agent;
  }

  configWillLoad(): void {
    const agent = this.#agent;
    const options = checkOptions(agent.config.sse);
    const distributed = distribute(agent, options, false);
    agent.sse = new Sse({
      // It has no connections, so nobody to keep messages for; but when it gives the order, it keeps the workers' history.
      options: distributed === undefined ? options : { ...options, history: false },
      broker: distributed ?? this.#sequence(),
      isAlone: false,
      causeOf: () => AGENT,
      logger: agent.coreLogger,
    });
  }

  /** Gives the order to this host's workers. */
  #sequence(): Sequencer {
    const agent = this.#agent;
    const { messenger } = agent;
    let localApp: Parameters<LocalAgent['attach']>[0] | undefined;
    let isStarted = false;
    messenger.once('egg-ready', () => (isStarted = true));
    const channel = openChannel<ToWorkers, ToAgent>(messenger, (name, data, worker) => {
      if (localApp !== undefined) sendLocally(localApp, name, data);
      else if (isStarted && worker !== undefined) messenger.sendTo(Number(pidOf(worker)), name, data);
      // Until the whole app is started, Egg warns of every sendTo and sendToApp, but workers need the order to start.
      else (messenger as unknown as Sender).send(name, data, 'app');
    });
    const sequencer = new Sequencer(channel);
    messenger.on('egg-pids', (pids: readonly number[]) => sequencer.listening(pids));
    this.#local = {
      messenger,
      attach(app) {
        localApp = app;
        sequencer.beFirst();
      },
    };
    localAgents.set(agent.baseDir, this.#local);
    return sequencer;
  }

  async didLoad(): Promise<void> {
    await this.#agent.sse.start();
  }

  async beforeClose(): Promise<void> {
    if (localAgents.get(this.#agent.baseDir) === this.#local) localAgents.delete(this.#agent.baseDir);
    await this.#agent.sse.stop();
  }
}
