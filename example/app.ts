import type { Application, IBoot } from 'egg';
import { PageView } from './lib/page_view';
import { PEOPLE, userOf } from './lib/people';

/** Says what renders the views, and who is who, by the session. */
export default class AppBoot implements IBoot {
  readonly #app: Application;

  constructor(app: Application) {
    this.#app = app;
  }

  configDidLoad(): void {
    // Egg takes the class, and makes one for each request; its types ask for an instance.
    this.#app.view.use('page', PageView as never);
  }

  async didLoad(): Promise<void> {
    this.#app.sse.authorize(({ session }) => {
      const user = userOf(session);
      const person = PEOPLE.get(user);
      // Without `keys`, everybody gets the keys that they ask for: the ticker and the rooms are for everyone.
      return person === undefined ? {} : { user, groups: person.teams };
    });
  }
}
