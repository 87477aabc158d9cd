import type { Agent, IBoot } from 'egg';
import { Ledger } from './lib/ledger';
import { isPrivate, privateKeyOf } from './lib/private_key';

/**
 * A witness that no button kills.
 *
 * The agent sees every message take its place in the order, and counts. The count it sends to a stream has a place in that
 * order too: a page that adds up what came before it knows whether anything is missing.
 */
export default class ProofAgentBoot implements IBoot {
  readonly #agent: Agent;
  readonly #ledger = new Ledger();
  #pids: readonly number[] = [];

  constructor(agent: Agent) {
    this.#agent = agent;
  }

  configDidLoad(): void {
    const { sse, messenger } = this.#agent;
    sse.on('deliver', ({ keys }) => this.#ledger.add(keys.filter((key) => !isPrivate(key))));
    messenger.on('egg-pids', (pids: readonly number[]) => {
      this.#pids = pids;
      messenger.sendToApp('proof:workers', pids);
    });
    messenger.on('proof:opened', (keys: readonly string[]) => {
      void sse.publish(privateKeyOf(keys)!, {
        event: 'ledger',
        data: { ...this.#ledger.read(keys), pids: this.#pids },
      });
    });
  }
}
