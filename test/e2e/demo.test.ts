import assert from 'node:assert/strict';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { launchChromium } from '../support/chromium';
import { Demo } from '../support/demo';

// A safety net alone: every wait is for a condition.
const WAIT_MS = 60_000;
const MAX_RELOADS = 50;

// Makes a page's browser lose a message, and give it another one twice.
const LOSE_AND_REPEAT = `
  const { dispatchEvent } = EventTarget.prototype;
  EventTarget.prototype.dispatchEvent = function (event) {
    if (event.type !== 'said') return dispatchEvent.call(this, event);
    if (event.data.includes('lose me')) return true;
    dispatchEvent.call(this, event);
    return event.data.includes('repeat me') ? dispatchEvent.call(this, event) : true;
  };
`;

describe('the demo in a browser', () => {
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
    it(sentence, async function () {
      if (browser === undefined) this.skip();
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

  /** A tab whose stream is open, on another worker than that of a tab. */
  async function openTabElsewhere(than: Page): Promise<Page> {
    const page = await openTab();
    const taken = await workerOf(than);
    for (let reload = 0; (await workerOf(page)) === taken; reload++) {
      assert.ok(reload < MAX_RELOADS, `every stream is on worker ${taken}`);
      await page.reload();
      await inState(page, 'open');
    }
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

    for (const page of [one, other]) {
      await hears(page, 'Thanks');
      assert.deepEqual(await heard(page), [text, 'Thanks']);
    }
  });

  inTabs('shows in tabs on different workers what is said in each of them', async () => {
    const one = await openTab();
    const other = await openTabElsewhere(one);

    await say(one, 'from the one');
    await hears(other, 'from the one');
    await say(other, 'from the other');

    for (const page of [one, other]) {
      await hears(page, 'from the other');
      assert.deepEqual(await heard(page), ['from the one', 'from the other']);
      await page.getByTestId('clients').getByText('2 streams open over all workers').waitFor();
    }
  });

  inTabs('comes back when its worker is killed, with nothing missing, and says so', async () => {
    const one = await openTab();
    const other = await openTabElsewhere(one);
    const [killed, survivor] = [await workerOf(one), await workerOf(other)];
    await say(one, 'before');
    await hears(other, 'before');

    // The one comes back when it may, so that what it misses is known.
    const comeBack = await holdStreams(one);
    await one.getByTestId('kill').click();
    await inState(one, 'waiting');
    for (const text of ['one', 'two', 'three']) {
      await say(other, text);
      await hears(other, text);
    }
    await ticks(other, 1);
    comeBack();

    const report = one.getByTestId('report');
    await report.waitFor();
    const text = (await report.locator('p').textContent())!;
    const [, died, backOn, missed, delivered] =
      /^Page: worker (\d+) died · back on worker (\d+) after \d+\.\d s (\d+) messages missed meanwhile, all (\d+) delivered, 0 missing$/.exec(
        text,
      ) ?? assert.fail(text);
    assert.equal(await report.getAttribute('data-outcome'), 'whole');
    assert.equal(died, killed);
    assert.equal(backOn, await workerOf(one));
    assert.notEqual(backOn, killed);
    assert.equal(delivered, missed);
    assert.match((await report.locator('small').textContent())!, /\d × tick\b/);
    assert.match((await report.locator('small').textContent())!, /\b3 × said\b/);

    // What the page says against what it received, and that against what the tab that was never away received.
    const received = await wire(one);
    const hello = received.findLastIndex(({ event }) => event === 'sse:hello');
    const back = received.findLastIndex(({ event }) => event === 'worker');
    assert.equal(received.slice(hello, back).filter(isMessage).length, Number(missed));
    await hears(one, 'three');
    assert.deepEqual(await heard(one), ['before', 'one', 'two', 'three']);
    const [ids, theirs] = [idsOf(received), idsOf(await wire(other))];
    const [first, last] = [ids.find((id) => theirs.includes(id)), ids.findLast((id) => theirs.includes(id))];
    const between = (all: string[]): string[] => all.slice(all.indexOf(first!), all.indexOf(last!) + 1);
    assert.ok(between(ids).length > Number(missed));
    assert.deepEqual(between(ids), between(theirs));

    assert.equal(await workerOf(other), survivor);
    assert.equal(await other.getByTestId('report').count(), 0);
    await one.locator(`[data-testid=pids]:has(> :nth-child(2)):not(:has-text("${killed}"))`).waitFor();
  });

  inTabs('says how many messages are missing, and how many came twice', async () => {
    const page = await openTab();
    const other = await openTab();
    await page.addInitScript(LOSE_AND_REPEAT);
    await page.reload();
    await inState(page, 'open');
    await page.locator('[data-testid=wire] [data-event=ledger]').waitFor();

    await page.getByTestId('pause').click();
    for (const text of ['lose me', 'repeat me', 'leave me']) {
      await say(other, text);
      await hears(other, text);
    }
    await page.getByTestId('pause').click();

    const report = page.locator('[data-testid=report][data-outcome=broken]');
    await report.waitFor();
    assert.match((await report.locator('p').textContent())!, /\d delivered, 1 missing, 1 came twice$/);
    assert.match((await report.locator('small').textContent())!, /\b2 × said\b/);
  });

  inTabs('says that a job died with its worker', async () => {
    const page = await openTab();
    const answer = page.waitForResponse('**/api/jobs');
    await page.getByTestId('job-start').click();
    const { pid } = (await (await answer).json()) as { pid: number };

    const { value: token } = (await tabs.cookies()).find(({ name }) => name === 'csrfToken')!;
    const response = await tabs.request.post(`${demo.url}api/workers/kill`, {
      data: { pid },
      headers: { 'x-csrf-token': token },
    });
    assert.equal(response.status(), 202);

    await page.getByTestId('job-step').getByText(`Worker ${pid} died, and the job with it`).waitFor();
    assert.equal(await page.getByTestId('job-start').textContent(), 'Start another');
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

/** The pid of the worker that a tab's stream is on. */
async function workerOf(page: Page): Promise<string> {
  const badge = page.getByTestId('ticker-worker');
  await badge.waitFor();
  return /^worker (\d+)$/.exec((await badge.textContent())!)![1]!;
}

/** From now on the tab's streams open only once the function that it returns is called. */
async function holdStreams(page: Page): Promise<() => void> {
  let release = (): void => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  await page.route('**/stream?*', async (route) => {
    await released;
    await route.continue();
  });
  return release;
}

interface Wired {
  readonly event: string;
  readonly id: string;
}

/** The events that a tab received, the oldest first. */
async function wire(page: Page): Promise<Wired[]> {
  const events = await page
    .locator('[data-testid=wire] li')
    .evaluateAll((rows) =>
      rows.map((row) => ({ event: row.getAttribute('data-event')!, id: row.querySelector('small')!.textContent! })),
    );
  return events.toReversed();
}

function isMessage({ event }: Wired): boolean {
  return ['tick', 'said', 'workers'].includes(event);
}

function idsOf(events: Wired[]): string[] {
  return events.filter(isMessage).map(({ id }) => id);
}
