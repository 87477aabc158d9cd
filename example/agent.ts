import type { Agent, IBoot } from 'egg';

/** Tells every page which workers live: a page that waits for a job learns that the worker of the job died. */
export default class AgentBoot implements IBoot {
  readonly #agent: Agent;

  constructor(agent: Agent) {
    this.#agent = agent;
  }

  configDidLoad(): void {
    const { sse, messenger } = this.#agent;
    // Egg's master says it whenever it changes, to the agent alone.
    messenger.on('egg-pids', (pids: readonly number[]) => {
      void sse.publish('cluster', { event: 'workers', data: { pids } });
    });
  }
}
