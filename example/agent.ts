import type { Agent, IBoot } from 'egg';
import { Ledger } from './proof/lib/ledger';
import { isPrivate, privateKeyOf } from './proof/lib/private_key';

/**
 * Demo only: a witness that no button kills.
 *
 * The agent sees every message take its place in the order, and counts. The count it sends to a stream has a place in that
 * order too: a page that adds up what came before it knows whether anything is missing.
 */
export default class DemoAgentBoot implements IBoot {
  readonly #agent: Agent;
  readonly #ledger = new Ledger();
  #pids: readonly number[] = [];

  constructor(agent: Agent) {
    this.#agent = agent;
  }

  configDidLoad(): void {
    const { sse, messenger } = this.#agent;
    sse.on('deliver', ({ keys }) => this.#ledger.add(keys.filter((key) => !isPrivate(key))));
    // Egg's master says which workers live whenever that changes, to the agent alone.
    messenger.on('egg-pids', (pids: readonly number[]) => {
      this.#pids = pids;
      messenger.sendToApp('demo:workers', pids);
      void sse.publish('cluster', { event: 'workers', data: { pids } });
    });
    messenger.on('demo:opened', (keys: readonly string[]) => {
      void sse.publish(privateKeyOf(keys)!, {
        event: 'ledger',
        data: { ...this.#ledger.read(keys), pids: this.#pids },
      });
    });
  }
}
