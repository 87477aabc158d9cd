import assert from 'node:assert/strict';
import type { Browser } from 'playwright-core';
import { launchChromium } from '../support/chromium';
import { eventually } from '../support/eventually';
import { plainServers } from '../support/plain';

describe('compression in Chromium', () => {
  const start = plainServers();
  let browser: Browser | undefined;

  before(async () => {
    browser = await launchChromium('a compressed stream in a browser');
  });
  after(() => browser?.close());

  it('is read as it comes by an EventSource, which comes back as ever', async function () {
    if (browser === undefined) this.skip();
    const { url, sse } = await start({ compression: true, retry: 10 });
    const page = await browser.newPage();
    await page.route('**/page', (route) => route.fulfill({ contentType: 'text/html', body: '' }));
    await page.goto(new URL('/page', url).href);
    await page.evaluate((address) => {
      const got: string[] = [];
      Object.assign(globalThis, { got });
      new EventSource(address).addEventListener('message', ({ data }) => got.push(String(data)));
    }, `${url}?connectKey=a`);
    const got = (): Promise<string[]> => page.evaluate(() => (globalThis as unknown as { got: string[] }).got);
    await eventually(() => sse.count('a') === 1);
    await sse.publish('a', 'one');
    await eventually(async () => (await got()).length === 1);
    sse.closeAll();
    await sse.publish('a', 'two');
    await eventually(async () => (await got()).length === 2);
    assert.deepEqual(await got(), ['one', 'two']);
    await page.close();
  });
});
