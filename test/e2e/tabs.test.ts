import assert from 'node:assert/strict';
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from '../support/chromium';
import { Demo } from '../support/demo';

// A safety net alone: every wait is for a condition.
const WAIT_MS = 60_000;
const TABS = 8;

describe('the tabs of the demo', () => {
  let demo: Demo;
  let browser: Browser | undefined;

  before(async () => {
    browser = await launchChromium('the end-to-end tests of the tabs of the demo');
    if (browser !== undefined) demo = await Demo.start();
  });

  after(async () => {
    await browser?.close();
    await demo?.kill();
  });

  it('share one connection, and each hears what it wants to', async function () {
    if (browser === undefined) this.skip();
    const context = await browser.newContext();
    context.setDefaultTimeout(WAIT_MS);
    const errors: Error[] = [];
    context.on('weberror', (error) => errors.push(error.error()));
    const tabs: Page[] = [];
    for (let i = 0; i < TABS; i++) {
      const page = await context.newPage();
      await page.goto(`${demo.url}tabs`);
      await page.getByTestId('state').getByText('open', { exact: true }).waitFor();
      tabs.push(page);
    }
    const [one, other] = [tabs[0]!, tabs.at(-1)!];
    await one.getByTestId('tabs').getByText(String(TABS), { exact: true }).waitFor();
    await one.getByTestId('connections').getByText('1', { exact: true }).waitFor();

    await other.getByTestId('hear-ducks').click();
    await other.getByTestId('held').getByText('3', { exact: true }).waitFor();
    await one.getByTestId('say-ducks').click();
    await one.getByTestId('say-hens').click();
    for (const tab of tabs) await tab.locator('[data-testid=word][data-topic=hens]').waitFor();
    for (const tab of tabs) {
      assert.equal(await tab.locator('[data-testid=word][data-topic=ducks]').count(), tab === other ? 1 : 0);
    }

    await one.close();
    await other.getByTestId('say-hens').click();
    await other.locator('[data-testid=word][data-topic=hens]').nth(1).waitFor();
    await other.getByTestId('connections').getByText('1', { exact: true }).waitFor();
    assert.deepEqual(errors, []);
    await context.close();
  });
});
