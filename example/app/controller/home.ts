import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Controller } from 'egg';

/** The page. It comes through a controller, not from /public, so that Egg sets the CSRF cookie with it. */
export default class HomeController extends Controller {
  async show(): Promise<void> {
    this.ctx.type = 'html';
    this.ctx.body = await readFile(path.join(this.app.baseDir, 'app/view/home.html'));
  }
}

declare module 'egg' {
  interface IController {
    home: HomeController;
  }
}
