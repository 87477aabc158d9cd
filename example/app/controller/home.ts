import { Controller } from 'egg';

/** The first page. A controller renders it, so that Egg sets the CSRF cookie with it. */
export default class HomeController extends Controller {
  async show(): Promise<void> {
    await this.ctx.render('home.html', { title: 'egg-sse', subtitle: 'Server-Sent Events for Egg.js' });
  }
}

declare module 'egg' {
  interface IController {
    home: HomeController;
  }
}
