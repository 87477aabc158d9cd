import type { Application, IBoot } from 'egg';
import { privateKeyOf } from './lib/private_key';
import { Workers } from './lib/workers';
import { route } from './router';

/**
 * Tells streams which worker they are on: an app never needs to know.
 *
 * A stream that opens with a key of its own is told `worker`: of reach `process`, since no other worker has that stream;
 * it comes right after what the stream has missed and before anything new. Then the agent tells it the `ledger`.
 */
export default class ProofBoot implements IBoot {
  readonly #app: Application;

  constructor(app: Application) {
    this.#app = app;
  }

  configWillLoad(): void {
    const { coreMiddleware, proof } = this.#app.config;
    if (proof.hosts.length > 1) coreMiddleware.push('otherHosts');
  }

  configDidLoad(): void {
    const { sse, messenger } = this.#app;
    route(this.#app, new Workers(messenger));
    sse.on('open', ({ keys }) => {
      const key = privateKeyOf(keys);
      if (key === undefined) return;
      void sse.publish(key, { event: 'worker', data: { pid: process.pid } }, { reach: 'process' });
      messenger.sendToAgent('proof:opened', keys);
    });
  }
}
