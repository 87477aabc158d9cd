import { Controller } from 'egg';

/** Demo only: an app that lets anyone kill its workers is a bad app. */
export default class WorkersController extends Controller {
  kill(): void {
    const { ctx, app } = this;
    const { pid } = ctx.request.body as { pid?: unknown };
    if (typeof pid !== 'number') return ctx.throw(422, 'pid must be a number');
    if (!app.workers.has(pid)) ctx.throw(404, `no worker of this demo has the pid ${pid}`);

    // The answer goes first: the worker may be this one.
    ctx.res.once('finish', () => app.workers.kill(pid));
    ctx.status = 202;
    ctx.body = { pid };
  }
}

declare module 'egg' {
  interface IController {
    workers: WorkersController;
  }
}
