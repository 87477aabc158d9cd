import { Controller } from 'egg';
import { user } from 'egg-sse';
import { PEOPLE, userOf } from '../../lib/people';

/** Logins. A name is enough here; a real app wants a password. From then on the session says who somebody is. */
export default class PeopleController extends Controller {
  async login(): Promise<void> {
    const { ctx } = this;
    const { name } = ctx.request.body as { name?: unknown };
    if (!PEOPLE.has(name)) ctx.throw(422, `name must be one of ${[...PEOPLE.keys()].join(', ')}`);

    if (ctx.session.user !== name) await this.#endStreams();
    ctx.session.user = name;
    ctx.body = { user: name };
  }

  async logout(): Promise<void> {
    await this.#endStreams();
    this.ctx.session = null;
    this.ctx.status = 204;
  }

  /** In all tabs, on all workers. The browsers come back by themselves, as whoever they are then. */
  async #endStreams(): Promise<void> {
    const { app, ctx } = this;
    const name = userOf(ctx.session);
    if (name !== undefined) await app.sse.disconnect(user(name), { reason: 'logged out' });
  }
}

declare module 'egg' {
  interface IController {
    people: PeopleController;
  }
}
