import type { Agent, IBoot } from 'egg';

export default class NewsAgentBoot implements IBoot {
  readonly #agent: Agent;

  constructor(agent: Agent) {
    this.#agent = agent;
  }

  async didLoad(): Promise<void> {
    const agent = this.#agent;
    agent.messenger.on('news', async () => {
      const receipt = await agent.sse.publish('news', { event: 'told', data: 'by the agent' });
      await agent.sse.publish('news', { event: 'receipt', data: receipt });
    });
  }
}
