import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { launchChromium } from '../support/chromium';
import { Demo } from '../support/demo';

// Safety nets alone: every wait is for a condition.
const SUITE_MS = 300_000;
const WAIT_MS = 60_000;

describe('the demo in a browser', { timeout: SUITE_MS }, () => {
  let demo: Demo;
  let browser: Browser | undefined;
  let tabs: BrowserContext;
  const errors: Error[] = [];

  before(async () => {
    browser = await launchChromium('the end-to-end tests of the demo');
    if (browser === undefined) return;
    demo = await Demo.start();
    tabs = await browser.newContext();
    tabs.setDefaultTimeout(WAIT_MS);
    tabs.on('weberror', (error) => errors.push(error.error()));
  });

  after(async () => {
    await browser?.close();
    await demo?.kill();
  });

  /** A test that is skipped without a browser, and fails for an error that a page throws. */
  function inTabs(sentence: string, body: () => Promise<void>): void {
    it(sentence, async (test) => {
      if (browser === undefined) {
        test.skip('no Chromium');
        return;
      }
      try {
        await body();
        assert.deepEqual(errors.splice(0), []);
      } finally {
        // A browser opens six connections to a host: the next test needs them.
        await Promise.all(tabs.pages().map((page) => page.close()));
      }
    });
  }

  /** A tab whose stream is open. */
  async function openTab(): Promise<Page> {
    const page = await tabs.newPage();
    await page.goto(demo.url);
    await inState(page, 'open');
    return page;
  }

  inTabs('shows a ticker that moves', async () => {
    const page = await openTab();
    await ticks(page, 3);
  });

  inTabs('shows in every tab what is said in one of them, as text and once', async () => {
    const [one, other] = [await openTab(), await openTab()];
    const text = '<b>Two dozen</b> & <img src=x onerror="alert(1)">';

    await say(one, text);
    await hears(other, text);
    await say(other, 'Thanks');
    await hears(one, 'Thanks');

    assert.deepEqual(await heard(one), [text, 'Thanks']);
    assert.deepEqual(await heard(other), [text, 'Thanks']);
  });

  inTabs('keeps a text that could not be sent, and says why', async () => {
    const page = await openTab();
    await tabs.clearCookies();

    await say(page, 'Does anybody hear me?');

    await page.getByTestId('room-error').getByText('missing csrf token').waitFor();
    assert.equal(await page.getByTestId('room-text').inputValue(), 'Does anybody hear me?');
  });

  inTabs('runs a job to 100 % and shows each of its steps once', async () => {
    const page = await openTab();

    await page.getByTestId('job-start').click();
    await page.locator('[data-testid=job][data-outcome=done]').waitFor();

    assert.equal(await page.getByTestId('job-percent').textContent(), '100 %');
    const frames = await page.locator('[data-testid=wire] [data-event=progress] code').allTextContents();
    const percents = frames.map((data) => (JSON.parse(data) as { percent: number }).percent);
    assert.deepEqual(
      percents.toReversed(),
      Array.from({ length: 50 }, (_, turn) => turn * 2),
    );
  });

  inTabs('catches up on what was said while its streams were paused', async () => {
    const [away, here] = [await openTab(), await openTab()];
    await say(here, 'one');
    await hears(away, 'one');

    await away.getByTestId('pause').click();
    await inState(away, 'closed');
    for (const text of ['two', 'three']) {
      await say(here, text);
      await hears(here, text);
    }
    assert.deepEqual(await heard(away), ['one']);

    await away.getByTestId('pause').click();
    await hears(away, 'three');
    assert.deepEqual(await heard(away), ['one', 'two', 'three']);
    assert.equal(await away.getByTestId('notice-gap').count(), 0);
  });

  inTabs('comes back by itself when the server was killed, and tells of the gap', async () => {
    const [one, other] = [await openTab(), await openTab()];
    await say(one, 'before');
    await hears(other, 'before');

    await demo.kill();
    for (const page of [one, other]) {
      await inState(page, 'waiting');
      await page.getByTestId('notice-lost').waitFor();
    }

    demo = await Demo.start(demo.port);
    for (const page of [one, other]) {
      await inState(page, 'open');
      await page.getByTestId('notice-gap').waitFor();
      await ticks(page, 2);
    }
    await say(one, 'after');
    await hears(other, 'after');
    assert.deepEqual(await heard(other), ['before', 'after']);
  });

  inTabs('hears a goodbye when the server is stopped, and comes back to the next one', async () => {
    const page = await openTab();

    await demo.stop();
    await page.getByTestId('notice-bye').waitFor();
    await inState(page, 'waiting');

    demo = await Demo.start(demo.port);
    await inState(page, 'open');
    await ticks(page, 1);
  });
});

async function inState(page: Page, state: string): Promise<void> {
  await page.locator(`[data-testid=ticker][data-state=${state}]`).waitFor();
  await page.locator(`[data-testid=room][data-state=${state}]`).waitFor();
}

/** Waits until the ticker has moved on so many times. */
async function ticks(page: Page, times: number): Promise<void> {
  for (let time = 0; time < times; time++) {
    const at = await page.getByTestId('ticker-value').getAttribute('data-at');
    await page.locator(`[data-testid=ticker-value][data-at]:not([data-at="${at}"])`).waitFor();
  }
}

async function say(page: Page, text: string): Promise<void> {
  await page.getByTestId('room-text').fill(text);
  await page.getByTestId('room-text').press('Enter');
}

async function hears(page: Page, text: string): Promise<void> {
  await page.getByTestId('room-message').locator('p').getByText(text, { exact: true }).waitFor();
}

async function heard(page: Page): Promise<string[]> {
  return page.getByTestId('room-message').locator('p').allTextContents();
}
