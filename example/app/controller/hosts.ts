import { Controller } from 'egg';

/** Demo only: where the hosts are that share a Redis. */
export default class HostsController extends Controller {
  list(): void {
    const ports = this.app.config.hosts as readonly number[];
    this.ctx.body = { hosts: ports.map((port, index) => ({ name: 'AB'[index], port })) };
  }
}

declare module 'egg' {
  interface IController {
    hosts: HostsController;
  }
}
