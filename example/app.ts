import type { Application, IBoot } from 'egg';
import { PEOPLE } from './lib/people';
import { privateKeyOf } from './proof/lib/private_key';
import { Workers } from './proof/lib/workers';

/**
 * Says who is who, by the session.
 *
 * The rest is demo only: a real app needs none of it. It shows what otherwise nobody sees, the worker that a stream is on.
 * A stream that opens with a key of its own is told `worker`: of reach `process`, since no other worker has that stream;
 * it comes right after what the stream has missed and before anything new. Then the agent tells it the `ledger`.
 */
export default class DemoBoot implements IBoot {
  readonly #app: Application;

  constructor(app: Application) {
    this.#app = app;
  }

  async didLoad(): Promise<void> {
    this.#app.sse.authorize(({ session }) => {
      const { user } = session as { user?: string };
      const person = PEOPLE.get(user);
      // Without `keys`, whoever it is gets those that they ask for: the ticker and the rooms are for everyone.
      return person === undefined ? {} : { user, groups: person.teams };
    });
  }

  configDidLoad(): void {
    const { sse, messenger } = this.#app;
    this.#app.workers = new Workers(messenger);
    sse.on('open', ({ keys }) => {
      const key = privateKeyOf(keys);
      if (key === undefined) return;
      void sse.publish(key, { event: 'worker', data: { pid: process.pid } }, { reach: 'process' });
      messenger.sendToAgent('demo:opened', keys);
    });
  }
}

declare module 'egg' {
  interface Application {
    workers: Workers;
  }
}
