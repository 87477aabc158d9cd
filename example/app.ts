import type { Application, IBoot } from 'egg';
import { PageView } from './lib/page_view';
import { PEOPLE } from './lib/people';

/** Says who is who, by the session, and how views are rendered. */
export default class AppBoot implements IBoot {
  readonly #app: Application;

  constructor(app: Application) {
    this.#app = app;
  }

  configDidLoad(): void {
    // Egg makes one for each request; its types do not know that it wants the class.
    this.#app.view.use('page', PageView as never);
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
