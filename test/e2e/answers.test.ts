import assert from 'node:assert/strict';
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from '../support/chromium';
import { Demo } from '../support/demo';

// A safety net alone: every wait is for a condition.
const WAIT_MS = 60_000;

describe('the answers of the demo', () => {
  let demo: Demo;
  let browser: Browser | undefined;

  before(async () => {
    browser = await launchChromium("the end-to-end tests of the demo's answers");
    if (browser !== undefined) demo = await Demo.start();
  });

  after(async () => {
    await browser?.close();
    await demo?.kill();
  });

  /** A test with a page that has asked. */
  function asked(sentence: string, body: (page: Page) => Promise<void>): void {
    it(sentence, async function () {
      if (browser === undefined) this.skip();
      const context = await browser.newContext();
      context.setDefaultTimeout(WAIT_MS);
      const page = await context.newPage();
      await page.goto(new URL('/answers', demo.url).href);
      await page.getByTestId('ask').click();
      await grows(page);
      await body(page);
      await context.close();
    });
  }

  const textOf = async (page: Page): Promise<string> => (await page.getByTestId('text').textContent()) ?? '';

  /** Resolves when there is more of the answer. */
  async function grows(page: Page, length = 60): Promise<void> {
    const before = (await textOf(page)).length;
    const script = `document.querySelector('[data-testid=text]').textContent.length > ${before + length}`;
    await page.waitForFunction(script);
  }

  const is = (page: Page, state: RegExp): Promise<void> =>
    page.getByTestId('state').filter({ hasText: state }).waitFor();

  asked('go on when the page is reloaded, and are the same in a second tab that stops them', async (page) => {
    const before = await textOf(page);
    await page.reload();
    await grows(page);
    assert.ok((await textOf(page)).startsWith(before));
    const second = await page.context().newPage();
    await second.goto(page.url());
    await grows(second);
    await second.getByTestId('stop').click();
    await is(page, /^stopped$/);
    await is(second, /^stopped$/);
    assert.equal(await textOf(second), await textOf(page));
  });

  asked('end with word of it when their worker is killed', async (page) => {
    await page.getByTestId('kill').click();
    await is(page, /is gone/);
    const text = await textOf(page);
    await page.reload();
    await is(page, /is gone/);
    assert.ok((await textOf(page)).startsWith(text));
  });
});
