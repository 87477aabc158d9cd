'use strict';

module.exports = class NewsAgentBoot {
  constructor(agent) {
    this.agent = agent;
  }

  async didLoad() {
    const { agent } = this;
    agent.messenger.on('news', async () => {
      const receipt = await agent.sse.publish('news', { event: 'told', data: 'by the agent' });
      await agent.sse.publish('news', { event: 'receipt', data: receipt });
    });
  }
};
