import assert from 'node:assert/strict';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { launchChromium } from '../support/chromium';
import { Cluster } from '../support/cluster';
import { eventually } from '../support/eventually';
import { RecipesApp } from '../support/recipes';

// A safety net alone: every wait is for a condition.
const WAIT_MS = 60_000;

// How often a job is started: in one worker as in another, most likely.
const JOBS = 6;

const AUTHOR = 'Notify the author';
const TEAM = 'Notify the team';
const JOB = 'Progress of a job';
const DASHBOARD = 'A dashboard';
const EDITING = 'Collaborative editing';

// What each page shows, which is its reader's own.
const BODIES = {
  [AUTHOR]: '<p id="inbox"></p>',
  [TEAM]: '<p id="banner"></p>',
  [JOB]: '<button>Import</button><progress max="100" value="0"></progress><p id="state"></p>',
  [DASHBOARD]: '<p id="egg"></p><p id="hen"></p>',
  [EDITING]: '<ol></ol>',
};

// Lets a test see the streams of a page, and which of the plugin's own events they have heard.
const WATCH_STREAMS = `
  globalThis.streams = [];
  globalThis.EventSource = class extends EventSource {
    heard = '';
    prices = 0;
    constructor(url) {
      super(url);
      streams.push(this);
      for (const name of ['hello', 'grant']) this.addEventListener('sse:' + name, () => (this.heard += name));
      this.addEventListener('price', () => this.prices++);
    }
  };
`;

describe('the recipes', () => {
  let app: RecipesApp;
  let cluster: Cluster | undefined;
  let browser: Browser | undefined;
  const people: BrowserContext[] = [];
  const errors: Error[] = [];

  before(async () => {
    app = new RecipesApp(BODIES);
    browser = await launchChromium('the recipes in a browser');
    if (browser !== undefined) cluster = await Cluster.start({ workers: 2, app: app.dir });
  });

  after(async () => {
    await browser?.close();
    await cluster?.stop();
    app.remove();
  });

  afterEach(async () => {
    await Promise.all(people.splice(0).map((person) => person.close()));
  });

  it('pass the type checker', () => {
    assert.equal(app.typeErrors(), '');
  });

  /** A test that is skipped without a browser, and fails for an error that a page throws or the app logs. */
  function inBrowsers(sentence: string, body: () => Promise<void>): void {
    it(sentence, async function () {
      if (browser === undefined) this.skip();
      await body();
      assert.deepEqual(errors.splice(0), []);
      assert.equal(cluster!.log('common-error.log'), '');
    });
  }

  /** A page of a recipe; with a name, of somebody who is logged in. */
  async function open(recipe: string, name?: string, query = ''): Promise<Page> {
    const person = await browser!.newContext({ baseURL: cluster!.url });
    people.push(person);
    person.setDefaultTimeout(WAIT_MS);
    person.on('weberror', (error) => errors.push(error.error()));
    await person.addInitScript(WATCH_STREAMS);
    if (name !== undefined) await person.request.get(`/login?name=${name}`);
    const page = await person.newPage();
    await page.goto(app.pageOf(recipe) + query);
    return page;
  }

  /** A page whose stream is open. */
  async function listen(recipe: string, name: string, query = ''): Promise<Page> {
    const page = await open(recipe, name, query);
    await page.waitForFunction(`streams[0]?.heard === 'hello'`);
    return page;
  }

  /** What the person of a page asks for elsewhere. */
  async function ask(page: Page, method: string, path: string, data: unknown): Promise<void> {
    const { value: token } = (await page.context().cookies()).find(({ name }) => name === 'csrfToken')!;
    const headers = { 'x-csrf-token': token };
    const response = await page.request.fetch(path, { method, data, headers });
    assert.ok(response.ok(), await response.text());
  }

  async function shows(page: Page, selector: string, text: string): Promise<void> {
    await page.locator(selector).getByText(text, { exact: true }).waitFor();
  }

  inBrowsers('notify the author, wherever she is, and nobody else', async () => {
    const [laptop, phone] = [await listen(AUTHOR, 'ann'), await listen(AUTHOR, 'ann')];
    const bob = await listen(AUTHOR, 'bob');
    await ask(bob, 'POST', '/posts/7/comments', { text: 'Well said' });
    await ask(bob, 'POST', '/posts/8/comments', { text: 'Well said, too' });
    for (const page of [laptop, phone]) {
      await shows(page, '#inbox', 'bob commented on post 7. bob commented on post 8.');
    }
    assert.equal(await bob.locator('#inbox').textContent(), '');
  });

  inBrowsers('keep it for an author who is nowhere, and send a mail to nobody else', async () => {
    const [ann, bob] = [await listen(AUTHOR, 'ann'), await listen(AUTHOR, 'bob')];
    await ask(bob, 'POST', '/posts/9/comments', { text: 'For Ann, who is here' });
    await shows(ann, '#inbox', 'bob commented on post 9.');
    await ask(bob, 'POST', '/posts/carl-1/comments', { text: 'For Carl, who is not' });
    await eventually(() => cluster!.read('mails.json') === '["carl: A comment on post carl-1"]', 'Carl has mail');
    const carl = await open(AUTHOR, 'carl');
    await shows(carl, '#inbox', 'bob commented on post carl-1.');
  });

  inBrowsers('refuse a guest for good', async () => {
    const page = await open(AUTHOR);
    await page.waitForFunction('streams[0]?.readyState === EventSource.CLOSED');
  });

  inBrowsers('notify a team once, from when somebody joins it', async () => {
    const [ann, bob] = [await listen(TEAM, 'ann'), await listen(TEAM, 'bob')];
    await ask(bob, 'POST', '/releases', { teams: ['eng', 'design'], version: '1.0' });
    await ask(ann, 'POST', '/teams/bob', ['eng']);
    await bob.waitForFunction(`streams[0].heard === 'hellogrant'`);
    await ask(bob, 'POST', '/releases', { teams: ['eng', 'design'], version: '1.1' });
    await shows(ann, '#banner', '1.0 is out. 1.1 is out.');
    await shows(bob, '#banner', '1.1 is out.');
  });

  inBrowsers('show how far a job is that runs in any worker, to the end', async () => {
    const page = await open(JOB, 'ann');
    for (let job = 0; job < JOBS; job++) {
      await page.reload();
      await page.locator('button').click();
      await shows(page, '#state', 'done');
      assert.equal(await page.evaluate(`document.querySelector('progress').value`), 100);
    }
  });

  inBrowsers('show the prices of now on a dashboard', async () => {
    const [early, late] = [await listen(DASHBOARD, 'ann'), await open(DASHBOARD, 'bob')];
    for (const page of [early, late]) {
      await shows(page, '#egg', '40');
      await shows(page, '#hen', '900');
    }
    const began = performance.now();
    for (let value = 41; value <= 90; value++) await ask(late, 'PUT', '/prices/egg', { value });
    for (const page of [early, late]) await shows(page, '#egg', '90');
    // One at once, then one a second, however many there were.
    const most = 2 + Math.floor((performance.now() - began) / 1_000);
    const came = Number(await early.evaluate('streams[0].prices'));
    assert.ok(came <= most, `${came} prices came, and ${most} may`);
    await late.reload();
    await shows(late, '#egg', '90');
  });

  inBrowsers('edit a document together, until somebody may no longer read it', async () => {
    const pages = [await listen(EDITING, 'ann', '?id=plan'), await listen(EDITING, 'bob', '?id=plan')];
    const [ann, bob] = pages as [Page, Page];
    for (const page of pages) await shows(page, 'li', 'two');

    await write(ann, 'two', 'zwei');
    for (const page of pages) await shows(page, 'li', 'zwei');
    await write(bob, 'three', 'drei');
    for (const page of pages) await shows(page, 'li', 'drei');

    await ask(ann, 'POST', '/readers', ['ann']);
    await bob.waitForFunction('streams[0].readyState === EventSource.CLOSED');
    await write(ann, 'one', 'eins');
    await shows(ann, 'li', 'eins');
    assert.deepEqual(await ann.locator('li').allTextContents(), ['eins', 'zwei', 'drei']);
    assert.deepEqual(await bob.locator('li').allTextContents(), ['one', 'zwei', 'drei']);
  });
});

/** Changes a line as a person does: clicks it, and answers the question. */
async function write(page: Page, line: string, text: string): Promise<void> {
  page.once('dialog', (dialog) => void dialog.accept(text));
  await page.locator('li').getByText(line, { exact: true }).click();
}
