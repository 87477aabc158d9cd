import type { Browser, BrowserContext, Page } from 'playwright-core';
import { eventually } from './eventually';

/** What the browser has, for several tabs to be on one connection. */
export type Mode = 'SharedWorker' | 'leader' | 'own';

/** What a test's page is told to connect with. */
export interface ConnectOptions {
  readonly keys?: readonly string[];
  readonly url?: string;
  readonly share?: boolean;
  readonly lastEventId?: string;
  readonly headers?: Record<string, string>;
  readonly withCredentials?: boolean;
  readonly worker?: string | false;
}

export interface Got {
  readonly type: string;
  readonly data: string;
  readonly lastEventId: string;
}

export interface State {
  readonly state: string;
  readonly status?: number;
  readonly reason?: string;
  readonly retryIn?: number;
}

const TAKE_AWAY: Record<Mode, string> = {
  SharedWorker: '',
  leader: 'delete window.SharedWorker;',
  own: 'delete window.SharedWorker; delete window.BroadcastChannel;',
};

/** What a test's page is. */
export const HTML = (
  client = '/stream/client.js',
): string => `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
<script type="module">
  import { connect } from '${client}';
  const NAMES = ['message', 'created', 'gap', 'sse:hello', 'sse:bye', 'sse:busy', 'sse:end'];
  window.got = []; window.states = []; window.tokens = [];
  window.listen = (sse) => {
    window.sse = sse;
    for (const name of NAMES) {
      sse.on(name, ({ type, data, lastEventId }) => window.got.push({ type, data, lastEventId }));
    }
    sse.on('state', ({ state, status, reason, retryIn }) => window.states.push(JSON.parse(JSON.stringify({ state, status, reason, retryIn }))));
    return sse;
  };
  window.begin = ({ url = '/stream', ...options }) => void window.listen(connect(url, options));
  window.connect = connect;
  const kept = sessionStorage.getItem('begin');
  if (kept !== null) window.begin(JSON.parse(kept));
  window.isReady = true;
</script>`;

/** A browser's tabs, all of one person, whose pages use the client. */
export class Tabs {
  readonly context: BrowserContext;
  readonly #origin: string;

  private constructor(context: BrowserContext, origin: string) {
    this.context = context;
    this.#origin = origin;
  }

  static async open(
    browser: Browser,
    server: { readonly url: string },
    mode: Mode,
    { csp, isServed = false }: { csp?: string; isServed?: boolean } = {},
  ): Promise<Tabs> {
    const context = await browser.newContext();
    const { origin } = new URL(server.url);
    await context.addInitScript(TAKE_AWAY[mode]);
    if (isServed) return new Tabs(context, origin);
    await context.route(`${origin}/page*`, (route) =>
      route.fulfill({
        contentType: 'text/html',
        headers: csp === undefined ? {} : { 'Content-Security-Policy': csp },
        body: HTML(),
      }),
    );
    return new Tabs(context, origin);
  }

  /** A tab whose page has connected; not yet, without options. */
  async open(options?: ConnectOptions, { opens = true } = {}): Promise<TabPage> {
    const page = await this.context.newPage();
    await page.goto(`${this.#origin}/page`);
    const tab = new TabPage(page);
    await tab.isReady();
    if (options !== undefined) await tab.connect(options);
    if (options !== undefined && opens) await tab.inState('open');
    return tab;
  }

  async close(): Promise<void> {
    await this.context.close();
  }
}

/** One of them. */
export class TabPage {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  async isReady(): Promise<void> {
    await this.page.waitForFunction('window.isReady');
  }

  /** Connects, and again after each reload. */
  async connect(options: ConnectOptions): Promise<void> {
    await this.page.evaluate(
      `sessionStorage.setItem('begin', ${JSON.stringify(JSON.stringify(options))}); begin(${JSON.stringify(options)})`,
    );
  }

  async reload(): Promise<void> {
    await this.page.reload();
    await this.isReady();
  }

  run<T = unknown>(script: string): Promise<T> {
    return this.page.evaluate<T>(script);
  }

  got(): Promise<Got[]> {
    return this.run('got');
  }

  states(): Promise<State[]> {
    return this.run('states');
  }

  /** What came that is not the plugin's own. */
  async data(): Promise<string[]> {
    return (await this.got()).filter(({ type }) => !type.startsWith('sse:') && type !== 'gap').map(({ data }) => data);
  }

  async gaps(): Promise<Got[]> {
    return (await this.got()).filter(({ type }) => type === 'gap');
  }

  async inState(state: string): Promise<void> {
    try {
      await eventually(async () => (await this.run('sse.state')) === state);
    } catch {
      throw new Error(`the tab never was ${state}: ${JSON.stringify(await this.states())}`);
    }
  }

  /** Waits until a message is there, which is to be the last. */
  async hears(data: string): Promise<void> {
    try {
      await eventually(async () => (await this.data()).includes(data));
    } catch {
      throw new Error(`${data} never came; ${JSON.stringify([await this.got(), await this.states()])}`);
    }
  }

  async close(): Promise<void> {
    await this.page.close();
  }
}
