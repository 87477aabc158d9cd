import assert from 'node:assert/strict';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { launchChromium } from '../support/chromium';
import { Demo } from '../support/demo';

// A safety net alone: every wait is for a condition.
const WAIT_MS = 60_000;

const EVERYONE_IN = ['ann', 'bob', 'team', 'everyone', 'guests'];

describe('logins in the demo', () => {
  let demo: Demo;
  let browser: Browser | undefined;
  const people: BrowserContext[] = [];
  const errors: Error[] = [];

  before(async () => {
    browser = await launchChromium('the end-to-end tests of the logins in the demo');
    if (browser !== undefined) demo = await Demo.start();
  });

  after(async () => {
    await browser?.close();
    await demo?.kill();
  });

  afterEach(async () => {
    await Promise.all(people.splice(0).map((person) => person.close()));
  });

  /** A test that is skipped without a browser, and fails for an error that a page throws. */
  function inBrowsers(sentence: string, body: () => Promise<void>): void {
    it(sentence, async function () {
      if (browser === undefined) this.skip();
      await body();
      assert.deepEqual(errors.splice(0), []);
    });
  }

  /** A browser of somebody's own, who is a guest. */
  async function newBrowser(): Promise<BrowserContext> {
    const person = await browser!.newContext();
    person.setDefaultTimeout(WAIT_MS);
    person.on('weberror', (error) => errors.push(error.error()));
    people.push(person);
    return person;
  }

  /** A tab that has heard who it is. */
  async function openTab(person: BrowserContext, who: string): Promise<Page> {
    const page = await person.newPage();
    await page.goto(demo.url);
    await is(page, who);
    return page;
  }

  async function guest(): Promise<Page> {
    return openTab(await newBrowser(), 'guest');
  }

  async function loggedIn(name: string): Promise<Page> {
    const page = await guest();
    await logIn(page, name);
    return page;
  }

  inBrowsers('show to each person exactly what is for them, and whom it is for', async () => {
    const [ann, bob, nobody] = [await loggedIn('ann'), await loggedIn('bob'), await guest()];

    for (const to of EVERYONE_IN) await send(bob, to, `from Bob to ${to}`);
    for (const to of EVERYONE_IN) await send(nobody, to, `from a guest to ${to}`);
    // All keys have one order: when the last one is there, so is everything before it.
    await send(bob, 'everyone', 'the end');
    await send(bob, 'guests', 'the end');

    for (const page of [ann, bob, nobody]) await receives(page, 'the end');
    assert.deepEqual(await received(ann), [
      ['ann', 'to Ann', 'from Bob', 'from Bob to ann'],
      ['team', 'to the team', 'from Bob', 'from Bob to team'],
      ['everyone', 'to everyone logged in', 'from Bob', 'from Bob to everyone'],
      ['ann', 'to Ann', 'from a guest', 'from a guest to ann'],
      ['team', 'to the team', 'from a guest', 'from a guest to team'],
      ['everyone', 'to everyone logged in', 'from a guest', 'from a guest to everyone'],
      ['everyone', 'to everyone logged in', 'from Bob', 'the end'],
    ]);
    assert.deepEqual(await targets(bob), ['bob', 'team', 'everyone', 'bob', 'team', 'everyone', 'everyone']);
    assert.deepEqual(await targets(nobody), ['guests', 'guests', 'guests']);
  });

  inBrowsers('are shared by the tabs of a browser, and end in all of them', async () => {
    const ann = await newBrowser();
    const [one, other] = [await openTab(ann, 'guest'), await openTab(ann, 'guest')];
    const bob = await loggedIn('bob');

    await logIn(one, 'ann');
    await is(other, 'ann');
    await send(bob, 'ann', 'for both tabs');
    for (const tab of [one, other]) await receives(tab, 'for both tabs');

    await one.getByTestId('logout').click();
    await other.getByTestId('notice-bye').getByText('Goodbye: you logged out.').waitFor();
    for (const tab of [one, other]) await is(tab, 'guest');
    await is(bob, 'bob');

    await send(bob, 'ann', 'for Ann alone');
    await send(bob, 'guests', 'for guests');
    for (const tab of [one, other]) {
      await receives(tab, 'for guests');
      assert.deepEqual(await targets(tab), ['ann', 'guests']);
    }
    assert.equal(await one.locator('[data-testid=report]:not([data-outcome=whole])').count(), 0);

    // It waited for her.
    await other.close();
    await logIn(one, 'ann');
    await receives(one, 'for Ann alone');
    assert.deepEqual(await targets(one), ['ann', 'guests', 'ann']);
  });

  inBrowsers('keep what is for a person until they come back, and hand it over once', async () => {
    const ann = await newBrowser();
    const before = await openTab(ann, 'guest');
    await logIn(before, 'ann');
    const bob = await loggedIn('bob');
    await bob.getByTestId('here-ann').getByText('1', { exact: true }).waitFor();

    await before.close();
    await bob.getByTestId('here-ann').getByText('0', { exact: true }).waitFor();
    await send(bob, 'ann', 'one');
    await send(bob, 'team', 'not to Ann alone');
    await send(bob, 'ann', 'two');

    const back = await openTab(ann, 'ann');
    await receives(back, 'two');
    assert.deepEqual(await received(back), [
      ['ann', 'to Ann', 'from Bob', 'one'],
      ['ann', 'to Ann', 'from Bob', 'two'],
    ]);

    const again = await openTab(ann, 'ann');
    await send(bob, 'everyone', 'the end');
    await receives(again, 'the end');
    assert.deepEqual(await targets(again), ['everyone']);
  });

  inBrowsers('leave the ticker and the rooms to everyone', async () => {
    const [ann, nobody] = [await loggedIn('ann'), await guest()];
    await ann.getByTestId('room-text').fill('Hello, all');
    await ann.getByTestId('room-text').press('Enter');
    for (const page of [ann, nobody]) {
      await page.getByTestId('room-message').getByText('Hello, all').waitFor();
      await page.locator('[data-testid=ticker-value][data-at]').waitFor();
    }
  });

  inBrowsers('come and go with the keyboard, which keeps its place', async () => {
    const page = await guest();
    await page.getByTestId('login-ann').focus();
    await page.keyboard.press('Enter');
    await page.locator('[data-testid=logout]:focus').waitFor();
    await page.keyboard.press('Enter');
    await page.locator('[data-testid=login-ann]:focus').waitFor();
  });

  inBrowsers('fit into a phone, with a long note in them', async () => {
    const page = await loggedIn('ann');
    await page.setViewportSize({ width: 360, height: 740 });
    await send(page, 'ann', 'x'.repeat(500));
    await page.getByTestId('note').waitFor();
    const [content, width] = await page.evaluate<[number, number]>(
      '[document.documentElement.scrollWidth, innerWidth]',
    );
    assert.equal(content, width);
  });
});

/** Waits until a tab's stream is that of a person, or of a guest. */
async function is(page: Page, who: string): Promise<void> {
  await page.locator(`[data-testid=logins][data-state=open] [data-testid=you][data-user=${who}]`).waitFor();
}

async function logIn(page: Page, name: string): Promise<void> {
  await page.getByTestId(`login-${name}`).click();
  await is(page, name);
}

/** Sends a note; resolves when the server has taken it. */
async function send(page: Page, to: string, text: string): Promise<void> {
  await page.getByTestId('note-text').fill(text);
  const answer = page.waitForResponse('**/api/notes');
  await page.getByTestId(`send-${to}`).click();
  assert.equal((await answer).status(), 201);
}

async function receives(page: Page, text: string): Promise<void> {
  await page.getByTestId('note').getByText(text, { exact: true }).waitFor();
}

/** Whom the notes of a tab are for, the oldest first. */
async function targets(page: Page): Promise<(string | null)[]> {
  const notes = await page.getByTestId('note').all();
  return Promise.all(notes.map((note) => note.getAttribute('data-to')));
}

/** The notes of a tab as it shows them: whom it was for, in the page and in words, who wrote it, and what. */
async function received(page: Page): Promise<(string | null)[][]> {
  const notes = await page.getByTestId('note').all();
  return Promise.all(
    notes.map((note) =>
      Promise.all([
        note.getAttribute('data-to'),
        note.locator('.badge').textContent(),
        note.locator('b').textContent(),
        note.locator('p').textContent(),
      ]),
    ),
  );
}
