import type { Application, IBoot } from 'egg';
import { MemoryBroker } from './lib/broker/memory';
import { causes, WORKER } from './lib/cause';
import { checkOptions } from './lib/options';
import type { Cause } from './lib/reach';
import { Sse } from './lib/sse';

/** The plugin in an app worker: ready before the worker listens, gone before Egg kills it. */
export default class SseAppBoot implements IBoot {
  readonly #app: Application;

  constructor(app: Application) {
    this.#app = app;
  }

  configWillLoad(): void {
    const app = this.#app;
    const options = checkOptions(app.config.sse);
    app.config.coreMiddleware.unshift('sseDoor');
    app.config.appMiddleware.push('sse');
    app.sse = new Sse({
      options,
      broker: new MemoryBroker(),
      causeOf: () => causes.getStore() ?? scheduleCause(app) ?? WORKER,
      logger: app.coreLogger,
    });
    // A worker that dies of an uncaughtException is cut off from the master first and then keeps its sockets for 30 s,
    // deaf: its clients must go to a living one. Egg's beforeClose does not run then.
    process.once('disconnect', this.#stop);
  }

  async didLoad(): Promise<void> {
    await this.#app.sse.start();
  }

  async beforeClose(): Promise<void> {
    process.off('disconnect', this.#stop);
    await this.#app.sse.stop();
  }

  readonly #stop = (): void => {
    this.#app.sse.stop().catch((error: Error) => this.#app.coreLogger.error(error));
  };
}

/** Egg runs a schedule's task in a context of its own, whose query says what schedule it is. */
function scheduleCause(app: Application): Cause | undefined {
  const ctx = app.currentContext;
  return ctx?.method === 'SCHEDULE' ? { kind: 'schedule', type: String(ctx.query.type) } : undefined;
}
