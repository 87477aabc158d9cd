import { Controller } from 'egg';

/** The page that shows how the tabs of a browser share one connection. */
export default class TabsController extends Controller {
  async show(): Promise<void> {
    await this.ctx.render('tabs.html', {
      title: 'One connection for all tabs',
      subtitle: 'The browser client of egg-sse. Open this page in many tabs.',
    });
  }

  /** How many connections a browser has, as the server sees it: each of its tabs asks for the browser's own key. */
  async count(): Promise<void> {
    const { ctx, app } = this;
    ctx.body = await app.sse.total(`browser:${String(ctx.query.browser)}`);
  }
}

declare module 'egg' {
  interface IController {
    tabs: TabsController;
  }
}
