import type { Application, IBoot } from 'egg';
import { PEOPLE } from './lib/people';

/** Says who is who, by the session. */
export default class AppBoot implements IBoot {
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
}
