import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Controller } from 'egg';

/** The page that shows how the tabs of a browser share one connection. */
export default class TabsController extends Controller {
  async show(): Promise<void> {
    this.ctx.type = 'html';
    this.ctx.body = await readFile(path.join(this.app.baseDir, 'app/view/tabs.html'));
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
