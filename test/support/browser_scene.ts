import type { Browser } from 'playwright-core';
import { startPlain, type PlainServer } from './plain';
import { Tabs, type Mode } from './tabs';

/** What tests of the browser client share: a browser, and what each of them opens, which is closed after it. */
export interface BrowserScene {
  /** Closes something after the test. */
  closes<T extends { close(): Promise<unknown> }>(opened: T): T;
  serve(...args: Parameters<typeof startPlain>): Promise<PlainServer>;
  /** Tabs, each with a connection of its own unless said. */
  tabsOf(server: { url: string }, mode?: Mode, options?: Parameters<typeof Tabs.open>[3]): Promise<Tabs>;
  /** A test that is skipped without a browser. */
  inBrowser(sentence: string, body: (browser: Browser) => Promise<void>): void;
}

/** Sets one up, for the suite that calls it. */
export function browserScene(launch: (skipped: string) => Promise<Browser | undefined>, skipped: string): BrowserScene {
  let browser: Browser | undefined;
  const opened: { close(): Promise<unknown> }[] = [];

  before(async () => {
    browser = await launch(skipped);
  });

  after(() => browser?.close());

  afterEach(async () => {
    for (const each of opened.splice(0).reverse()) await each.close();
  });

  const closes = <T extends { close(): Promise<unknown> }>(each: T): T => {
    opened.push(each);
    return each;
  };
  return {
    closes,
    serve: async (...args) => closes(await startPlain(...args)),
    tabsOf: async (server, mode = 'own', options = {}) => closes(await Tabs.open(browser!, server, mode, options)),
    inBrowser: (sentence, body) => {
      it(sentence, function () {
        if (browser === undefined) this.skip();
        return body(browser);
      });
    },
  };
}
