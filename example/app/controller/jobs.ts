import { Controller } from 'egg';

/** Long jobs: the answer comes at once and says where to listen. */
export default class JobsController extends Controller {
  async start(): Promise<void> {
    const { ctx, service } = this;
    if (service.jobs.full) ctx.throw(429, 'too many jobs are running; try again when one is done');

    ctx.status = 202;
    ctx.body = await service.jobs.start();
  }
}

declare module 'egg' {
  interface IController {
    jobs: JobsController;
  }
}
