import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { constants, createGunzip } from 'node:zlib';
import type { Browser } from 'playwright-core';
import { acceptsGzip } from '../../lib/http/headers';
import { launchChromium } from '../support/chromium';
import { eventually } from '../support/eventually';
import { optionsWith, plainServers } from '../support/plain';
import { findProgram } from '../support/program';
import { Stream } from '../support/stream';

/** A client that takes gzip: what it was sent, and what zlib's own decoder makes of that. */
class GzipClient {
  readonly sent: Buffer[] = [];
  text = '';
  readonly response: IncomingMessage;

  private constructor(response: IncomingMessage) {
    this.response = response;
    const decoder = createGunzip({ finishFlush: constants.Z_SYNC_FLUSH });
    response.on('data', (chunk: Buffer) => this.sent.push(chunk));
    response.on('error', () => undefined);
    response.pipe(decoder).on('data', (chunk: Buffer) => (this.text += chunk.toString()));
  }

  static async open(url: string): Promise<GzipClient> {
    const request = get(url, { agent: false, headers: { 'accept-encoding': 'br, gzip;q=0.8' } });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    assert.equal(response.headers['content-encoding'], 'gzip');
    return new GzipClient(response);
  }

  get data(): string[] {
    return [...this.text.matchAll(/(?<!event: sse:.*\n)^data: (.*)$/gm)].map(([, data]) => data!);
  }

  get bytes(): Buffer {
    return Buffer.concat(this.sent);
  }

  async until(count: number): Promise<this> {
    await eventually(() => this.data.length >= count, `${count} messages, not ${this.data.length}`);
    return this;
  }

  close(): void {
    this.response.destroy();
  }
}

describe('compression', () => {
  const start = plainServers();

  it('takes an Accept-Encoding as RFC 9110 says', () => {
    for (const header of ['gzip', 'deflate, gzip', 'GZIP;q=0.1', 'x-gzip', 'br;q=1, gzip ; q=0.5, *;q=0']) {
      assert.equal(acceptsGzip(header), true, header);
    }
    for (const header of [undefined, '', 'identity', 'br', 'gzip;q=0', 'gzip;q=0.0', '*', 'gzipped', 'gzip;q=x']) {
      assert.equal(acceptsGzip(header), false, header);
    }
  });

  it('is off, or true, or says how', () => {
    assert.equal(optionsWith().compression, false);
    assert.deepEqual(optionsWith({ compression: true }).compression, { level: 6, except: [] });
    const compression = { level: 1, except: ['@user:*', 'secret'] };
    assert.deepEqual(optionsWith({ compression }).compression, compression);
    for (const wrong of ['gzip', { level: 0 }, { level: 10 }, { except: 'a' }, { except: ['a*b'] }, { brotli: true }]) {
      assert.throws(() => optionsWith({ compression: wrong }), { code: 'ERR_SSE_CONFIG', message: /compression/ });
    }
  });

  it('is for those who accept it, and every answer says that it depends on that', async () => {
    const { url, sse } = await start({ compression: true });
    const [gzip, plain] = [await GzipClient.open(`${url}?connectKey=a`), await Stream.open(`${url}?connectKey=a`)];
    assert.equal(plain.headers['content-encoding'], undefined);
    for (const { headers } of [gzip.response, plain.response]) assert.equal(headers.vary, 'Accept-Encoding');
    await sse.publish('a', 'hello');
    await Promise.all([gzip.until(1), plain.untilMessages(1)]);
    assert.equal(gzip.text, plain.text);
    const head = await fetch(url, { method: 'HEAD', headers: { 'accept-encoding': 'gzip' } });
    assert.equal(head.headers.get('content-encoding'), 'gzip');
    gzip.close();
    plain.close();
  });

  it('is made once for all who hold the same keys', async () => {
    const { url, sse } = await start({ compression: true });
    const clients = await Promise.all(Array.from({ length: 5 }, () => GzipClient.open(`${url}?connectKey=a`)));
    await sse.publish('a', 'first');
    await Promise.all(clients.map((client) => client.until(1)));
    const before = clients.map(({ bytes }) => bytes.length);
    for (let i = 0; i < 50; i++) {
      await sse.publish('a', { data: { i, name: 'somebody', text: 'the same words, again and again' } });
      await Promise.all(clients.map((client) => client.until(i + 2)));
    }
    const [one, ...others] = clients.map(({ bytes }, i) => bytes.subarray(before[i]));
    for (const other of others) assert.ok(one!.equals(other), 'byte for byte');
    assert.ok(one!.length < 50 * 50, `${one!.length} bytes for 50 messages of some 100`);
    for (const client of clients) client.close();
  });

  it('reaches everyone whole while clients come and go, resume and fall behind', async () => {
    const { url, sse } = await start({ compression: true, pingInterval: 20, retry: 1, maxUnsentBytes: 20_000 });
    const open = new Map<GzipClient, number>();
    const gone: [GzipClient, number][] = [];
    let published = 0;
    for (let round = 0; round < 40; round++) {
      const keys = round % 3 === 0 ? 'connectKey=a&connectKey=b' : 'connectKey=a';
      open.set(await GzipClient.open(`${url}?${keys}`), published);
      if (round % 4 === 3) {
        const [[client, since]] = open as unknown as [[GzipClient, number]];
        await client.until(published - since);
        open.delete(client);
        gone.push([client, published - since]);
        client.close();
      }
      const texts = Array.from({ length: 1 + (round % 5) }, () => `${published++} ${'x'.repeat((round % 7) * 300)}`);
      await Promise.all(texts.map((text) => sse.publish('a', text)));
    }
    for (const [client, since] of open) {
      await client.until(published - since);
      gone.push([client, published - since]);
      client.close();
    }
    for (const [{ data }, count] of gone) {
      const numbers = data.map((text) => Number.parseInt(text, 10));
      assert.equal(numbers.length, count);
      assert.deepEqual(
        numbers,
        numbers.map((_, i) => numbers[0]! + i),
      );
    }
    await eventually(() => sse.countAll() === 0);
  });

  it('leaves out whoever holds a key that is excepted, and stops for whoever comes to hold one', async () => {
    const { url, sse } = await start({ compression: { except: ['secret:*'] } });
    const plain = await fetch(`${url}?connectKey=a&connectKey=secret:1`, { headers: { 'accept-encoding': 'gzip' } });
    assert.equal(plain.headers.get('content-encoding'), null);
    await plain.body!.cancel();
    let keys = ['a'];
    sse.authorize(async () => ({ keys }));
    const client = await GzipClient.open(`${url}?connectKey=a`);
    await sse.publish('a', 'words in the open, words in the open');
    await client.until(1);
    assert.doesNotMatch(client.bytes.toString('latin1'), /words in the open, words in the open/);
    keys = ['a', 'secret:1'];
    await sse.reauthorize('a');
    await eventually(() => client.text.includes('sse:grant'));
    await sse.publish('secret:1', 'words that are secret, words that are secret');
    await client.until(2);
    assert.match(client.bytes.toString('latin1'), /words that are secret, words that are secret/);
    client.close();
  });

  it('is read as it comes by fetch and by curl', async () => {
    const { url, sse } = await start({ compression: true });
    const response = await fetch(`${url}?connectKey=a`);
    assert.equal(response.headers.get('content-encoding'), 'gzip');
    let fetched = '';
    const reading = (async () => {
      for await (const chunk of response.body!) fetched += Buffer.from(chunk).toString();
    })().catch(() => undefined);
    const curlPath = findProgram(
      { title: 'curl', names: ['curl'], debian: 'curl' },
      'a compressed stream read by curl',
    );
    const curl = curlPath === undefined ? undefined : spawn(curlPath, ['-sN', '--compressed', `${url}?connectKey=a`]);
    let printed = '';
    curl?.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
    await eventually(() => sse.countAll() === (curl === undefined ? 1 : 2));
    for (const text of ['one', 'two', 'three']) {
      await sse.publish('a', text);
      await eventually(() => fetched.includes(`data: ${text}\n`));
      if (curl !== undefined) await eventually(() => printed.includes(`data: ${text}\n`));
    }
    sse.closeAll();
    await reading;
    assert.match(fetched, /event: sse:bye/);
    if (curl !== undefined && curl.exitCode === null) await once(curl, 'exit');
  });

  describe('in Chromium', () => {
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
});
