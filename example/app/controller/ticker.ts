import { Controller } from 'egg';

/** The last minute of the ticker. A page asks for it at first and after a gap: the stream only says what is new. */
export default class TickerController extends Controller {
  recent(): void {
    this.ctx.body = { ticks: this.service.ticker.recent(60) };
  }
}

declare module 'egg' {
  interface IController {
    ticker: TickerController;
  }
}
