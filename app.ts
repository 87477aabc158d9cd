import type { Application, Context, IBoot } from 'egg';
import { openChannel } from './lib/base/channel';
import { setLease, type ToArbiter, type ToLeases } from './lib/bridge/schedule/lease';
import { WorkerLease } from './lib/bridge/schedule/worker_lease';
import { MessengerBroker } from './lib/broker/messenger/messenger_broker';
import type { ToAgent, ToWorkers } from './lib/broker/messenger/protocol';
import { RedisBroker } from './lib/broker/redis/redis_broker';
import { currentCause, inheritCause, mark } from './lib/egg/cause';
import { contextsOf, earlyContextsOf } from './lib/egg/context';
import { answerEarly, forgetHeaders } from './lib/egg/early';
import { agentOf, hostOf } from './lib/egg/host';
import { REQUEST, WORKER } from './lib/message/reach';
import { checkOptions, type SseOptions } from './lib/options/options';
import { Sse } from './lib/sse';

/** The plugin in an app worker: ready before the worker listens, gone before Egg kills it. */
export default class SseAppBoot implements IBoot {
  readonly #app: Application;
  #lease: WorkerLease | undefined;

  constructor(app: Application) {
    this.#app = app;
  }

  configWillLoad(): void {
    const app = this.#app;
    const options = checkOptions(app.config.sse);
    addMiddlewares(app, options);
    const agent = agentOf(app);
    app.sse = new Sse({
      options,
      broker:
        RedisBroker.of(app, options, { host: hostOf(app), serves: true }) ??
        new MessengerBroker(openChannel<ToAgent, ToWorkers>(app.messenger, agent.send)),
      isAlone: agent.isAlone,
      causeOf: () => currentCause(app) ?? WORKER,
      contextOf: options.early ? earlyContextsOf(app) : contextsOf(app),
      detach: (work) => void app.runInAnonymousContextScope((ctx) => detached(ctx, work)),
      logger: app.coreLogger,
    });
    this.#lease = new WorkerLease(openChannel<ToArbiter, ToLeases>(app.messenger, agent.send), {
      isShared: options.redis !== false,
    });
    setLease(app, this.#lease);
    inheritCause(app);
    // A worker that dies of an uncaughtException is cut off from the master first and then keeps its sockets for 30 s,
    // deaf: its clients must go to a living one. Egg's beforeClose does not run then.
    process.once('disconnect', this.#stop);
  }

  async didLoad(): Promise<void> {
    await this.#app.sse.start();
    this.#lease?.start();
  }

  async beforeClose(): Promise<void> {
    process.off('disconnect', this.#stop);
    this.#lease?.stop();
    await this.#app.sse.stop();
  }

  readonly #stop = (): void => {
    this.#app.sse.stop().catch((error: Error) => this.#app.coreLogger.error(error));
  };
}

/** The door is the first of all middlewares, the stream endpoint the app's last. With `early` streams open before both. */
function addMiddlewares(app: Application, options: SseOptions): void {
  app.config.coreMiddleware.unshift('sseDoor');
  if ((app.config.sse as { enable?: boolean }).enable === false) return;
  app.config.appMiddleware.push('sse');
  if (!options.early) return;
  answerEarly(app, options.path, async (request, response, ctx) => {
    mark(ctx, REQUEST);
    await app.sse.endpoint.serve(request, response, ctx);
    forgetHeaders(request, app.sse.hasAuthorizer);
  });
}

/** Runs work in a context of its own, with the cause of a request: one copy of it runs, in whichever worker. */
function detached(ctx: Context, work: () => Promise<void>): Promise<void> {
  mark(ctx, REQUEST);
  return work();
}
