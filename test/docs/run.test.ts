import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { AddressInfo } from 'node:net';
import OpenAI from 'openai';
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from '../support/chromium';
import { Cluster } from '../support/cluster';
import { blocksOf } from '../support/docs';
import { DocsApp } from '../support/docs_app';
import { environment } from '../support/environment';
import { eventually } from '../support/eventually';
import { freePort } from '../support/free_port';
import { findProgram } from '../support/program';
import { Stream } from '../support/stream';

const ROOT = path.join(__dirname, '../..');
const SECRET = 'a-secret-of-this-test';
const SOURCE = 'https://prices.example.com';
const CURL = { title: 'curl', names: ['curl'], debian: 'curl' };

// What the pages of the docs leave to their reader, and what shows a test how far they are.
const BEFORE = `
  const id = new URLSearchParams(location.search).get('id');
  const show = (text) => console.log(text);
`;
const AFTER: Readonly<Record<string, string>> = {
  'docs/request-streams.md': `source.addEventListener('done', () => console.log('closed', source.readyState));`,
  'docs/runs.md': `source.addEventListener('sse:end', () => console.log('closed', source.readyState));`,
  'docs/stream.md': `source.addEventListener('created', () => console.log([...items.keys()].sort().join()));`,
};

for (const language of ['TypeScript', 'JavaScript'] as const) {
  describe(`the docs' code, run in ${language},`, () => {
    let prices: Server;
    let app: DocsApp;
    let cluster: Cluster;
    let browser: Browser | undefined;
    /** A session of Ann. */
    let cookie: string;

    before(async () => {
      let price = 40;
      prices = createServer((_request, response) => response.end(JSON.stringify({ egg: price++ }))).listen(
        0,
        '127.0.0.1',
      );
      await once(prices, 'listening');
      app = new DocsApp(language, { [SOURCE]: `http://127.0.0.1:${(prices.address() as AddressInfo).port}` });
      writePages(app);
      const port = await freePort();
      const env = { SSE_SECRET: SECRET, OPENAI_API_KEY: 'none', OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1` };
      cluster = await Cluster.start({ app: app.dir, port, env });
      browser = await launchChromium("the docs' code in a browser");
      const login = await fetch(`${cluster.url}/login?name=ann`);
      cookie = login.headers
        .getSetCookie()
        .map((text) => text.split(';')[0])
        .join('; ');
    });

    after(async () => {
      await browser?.close();
      await cluster.stop();
      app.remove();
      prices.close();
    });

    /** A stream, of a guest unless Ann opens it. */
    const listen = (query: string, headers: Record<string, string> = {}): Promise<Stream> =>
      Stream.open(`${cluster.url}/stream?${query}`, { headers });
    const run = async (name: string): Promise<void> => {
      const body = JSON.stringify({ messages: [{ role: 'user', content: 'hi' }] });
      const headers = { cookie, 'content-type': 'application/json' };
      const response = await fetch(`${cluster.url}/fragments/${name}`, { method: 'POST', headers, body });
      const text = await response.text();
      assert.ok(response.ok && !text.includes('sse:error'), `${name}: ${response.status} ${text}`);
    };
    /** The first piece of code of a page. */
    const fragmentOf = (place: string): string => app.of('fragment').find(({ page }) => page === place)!.name;
    const words = async (url: string): Promise<string> => {
      const client = new OpenAI({
        baseURL: cluster.url + url,
        apiKey: 'none',
        maxRetries: 0,
        defaultHeaders: { cookie },
      });
      let text = '';
      const messages = [{ role: 'user' as const, content: 'hello there' }];
      for await (const chunk of await client.chat.completions.create({ model: 'm', messages, stream: true })) {
        text += chunk.choices[0]?.delta.content ?? '';
      }
      return text;
    };

    it('runs, every piece of it, without an error', async () => {
      for (const { name } of app.of('fragment')) await run(name);
      assert.equal(cluster.log('common-error.log'), '');
    });

    it('keeps what is for somebody who is not there', async () => {
      await run(fragmentOf('docs/mailboxes.md'));
      const client = await listen('', { cookie });
      await client.untilMessages(1);
      assert.deepEqual([client.messages[0]!.event, client.data[0]], ['invoice', '{"id":7}']);
      client.close();
    });

    it('publishes what goes to the messenger', async () => {
      const client = await listen('connectKey=news');
      await client.until(({ events }) => events.length > 0);
      await run(fragmentOf('docs/bridges.md'));
      await client.untilMessages(2);
      assert.deepEqual(
        client.messages.map(({ event, data }) => [event, data]),
        [
          [undefined, '{"id":7}'],
          ['created', '{"id":7}'],
        ],
      );
      client.close();
    });

    it('publishes what a schedule loads', async () => {
      const client = await listen('connectKey=prices', { cookie });
      await client.untilMessages(1);
      assert.equal(client.messages[0]!.event, 'changed');
      assert.match(client.data[0]!, /^\{"egg":\d+\}$/);
      client.close();
    });

    it('publishes what curl sends', async function () {
      const curl = findProgram(CURL, "the docs' commands of curl");
      if (curl === undefined) this.skip();
      const { code } = blocksOf('docs/bridges.md').find((block) => block.code.includes('\ncurl '))!;
      const commands = code.replace(/^export .*$/m, '').replaceAll('http://127.0.0.1:7001', cluster.url);
      const client = await listen('connectKey=news');
      await client.until(({ events }) => events.length > 0);
      const { stdout } = await promisify(execFile)('bash', ['-ec', commands.replaceAll(/^curl/gm, `${curl} -sf`)], {
        env: { ...environment(), SSE_SECRET: SECRET },
      });
      assert.equal(stdout.match(/"reach":"everywhere"/g)?.length, 2, stdout);
      await client.untilMessages(2);
      assert.deepEqual(client.data, ['{"id":7}', 'hello']);
      client.close();
    });

    it("answers OpenAI's client, and so does a run", async () => {
      assert.equal(await words('/v1'), 'You said: hello there ');
      assert.equal(await words('/runs/v1'), 'You said: hello there ');
    });

    it('begins with a first message', async () => {
      const { name } = app.of('members').find(({ page }) => page === 'docs/request-streams.md')!;
      const client = await Stream.open(`${cluster.url}/members/${name}/watch/9`, { headers: { cookie } });
      await client.untilMessages(1);
      assert.deepEqual([client.messages[0]!.event, client.data[0]], ['document', '{"id":"9","text":"once"}']);
      client.close();
    });

    /** What a page of a block writes to the console, as it comes; somebody is logged in. */
    async function open(page: string, query = ''): Promise<string[]> {
      const person = await browser!.newContext({ baseURL: cluster.url });
      await person.request.get('/login?name=ann');
      const tab: Page = await person.newPage();
      const said: string[] = [];
      tab.on('console', (message) => said.push(message.text()));
      tab.on('pageerror', (error) => said.push(String(error)));
      await tab.goto(`/public/${nameOf(page)}.html${query}`);
      return said;
    }

    /** Publishes, as the README does, until a page has said it. */
    async function publish(said: readonly string[], text: string): Promise<void> {
      await eventually(
        async () => {
          await run(fragmentOf('README.md'));
          return said.includes(text);
        },
        `${text} is among ${said.join('; ')}`,
      );
    }

    it('shows in a browser what is published', async function () {
      if (browser === undefined) this.skip();
      await publish(await open('README.md'), '{id: 7}');
      await publish(await open('README.md client'), '{id: 7}');
      const said = await open('docs/browser.md');
      await publish(said, '{id: 7}');
      assert.ok(said.some((text) => text.startsWith('open')));
      await publish(await open('docs/stream.md'), '6,7');
    });

    it('shows in a browser what a request and a run answer, to the end', async function () {
      if (browser === undefined) this.skip();
      const exported = await open('docs/request-streams.md');
      await eventually(() => exported.includes('closed 2'));

      const body = JSON.stringify({ id: 'an-answer', question: 'hello there' });
      const headers = { cookie, 'content-type': 'application/json' };
      const response = await fetch(`${cluster.url}/answers`, { method: 'POST', headers, body });
      assert.deepEqual(await response.json(), { id: 'an-answer', key: 'run:an-answer' });
      const answered = await open('docs/runs.md', '?id=an-answer');
      await eventually(() => answered.includes('closed 2'));
      assert.ok(answered.includes('You said: hello there '), answered.join('; '));
      const stopped = await fetch(`${cluster.url}/answers/an-answer`, { method: 'DELETE', headers });
      assert.deepEqual(await stopped.json(), { stopped: false });
    });
  });
}

describe("the docs' server without Egg", () => {
  it('answers, and publishes', async () => {
    const dir = mkdtempSync(path.join(tmpdir(), 'egg-sse-docs-'));
    const { file, code } = blocksOf('docs/without-egg.md')[0]!;
    const port = await freePort();
    writeFileSync(path.join(dir, file!), code.replace('8080', String(port)));
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(dir, 'node_modules'));
    const server = spawn(process.execPath, ['--import', 'tsx', file!], {
      cwd: dir,
      env: environment(),
      stdio: 'inherit',
    });
    const exited = once(server, 'exit');
    try {
      const url = `http://127.0.0.1:${port}`;
      await eventually(async () => {
        assert.equal(server.exitCode, null);
        return fetch(url, { method: 'HEAD' }).then(
          ({ ok }) => ok,
          () => false,
        );
      }, 'the server listens');
      const counted = await (await Stream.open(`${url}/count`)).untilEnd();
      assert.deepEqual(counted.data, ['one', 'two', 'three']);
      const client = await Stream.open(`${url}/?connectKey=news`);
      await client.untilMessages(1);
      assert.deepEqual(client.data, ['hi']);
      client.close();
    } finally {
      server.kill();
      await exited;
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

/** Pages of the docs' blocks for the browser. */
function writePages(app: DocsApp): void {
  for (const page of ['README.md', 'docs/stream.md', 'docs/request-streams.md', 'docs/runs.md']) {
    const scripts = blocksOf(page).filter(({ language, file }) => language === 'js' && file !== 'config/plugin.js');
    for (const { code } of scripts) {
      const name = nameOf(code.includes('import ') ? `${page} client` : page);
      const script = `<script type="module">${BEFORE}${code}${AFTER[page] ?? ''}</script>`;
      app.write(`app/public/${name}.html`, `<!doctype html><meta charset="utf-8" />${script}`);
    }
  }
  const { code } = blocksOf('docs/browser.md').find(({ language }) => language === 'html')!;
  app.write('app/public/browser.html', `<!doctype html><meta charset="utf-8" />${code}`);
}

function nameOf(page: string): string {
  return path.basename(page).replace('.md', '').replace(' ', '_');
}
