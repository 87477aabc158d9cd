import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Context } from 'egg';
import { PageView } from '../example/lib/page_view';

const EXAMPLE = path.join(__dirname, '../example');
// The function that Egg's `ctx.helper.escape` is.
const escape = createRequire(__filename)('egg-security/lib/helper/escape') as (text: string) => string;

describe('the example', () => {
  it('does not know of its proof', () => {
    const files = readdirSync(EXAMPLE, { recursive: true, encoding: 'utf8' }).filter(
      (file) => /\.(ts|js|html|css|json)$/.test(file) && !/^(proof|logs|run|node_modules)\b/.test(file),
    );
    assert.ok(files.includes(path.join('app', 'router.ts')));
    const knowing = files.filter((file) => readFileSync(path.join(EXAMPLE, file), 'utf8').includes('proof/'));
    assert.deepEqual(knowing, []);
  });
});

describe("the example's views", () => {
  let dir: string;
  const layout =
    '<title>{{ title }}</title><a href="/">Home</a><a href="/hens">Hens</a>{{{ view }}}<i>{{ script }}</i>';

  before(() => {
    dir = mkdtempSync(path.join(tmpdir(), 'egg-sse-views-'));
    writeFileSync(path.join(dir, 'layout.html'), layout);
    writeFileSync(path.join(dir, 'hens.html'), '<input value="{{ name }}" />');
  });

  after(() => rmSync(dir, { recursive: true }));

  async function render(locals: Record<string, unknown>): Promise<string> {
    const view = { resolve: async (name: string) => path.join(dir, name) };
    const ctx = { app: { view }, path: '/hens', helper: { escape } } as unknown as Context;
    return new PageView(ctx).render(path.join(dir, 'hens.html'), locals);
  }

  it('come inside the layout, which marks the link to the page', async () => {
    assert.equal(
      await render({ title: 'Hens', name: 'Berta' }),
      '<title>Hens</title><a href="/">Home</a><a href="/hens" aria-current="page">Hens</a><input value="Berta" /><i>/public/hens.js</i>',
    );
  });

  it('show values as text, whatever is in them', async () => {
    const page = await render({ title: '</title>{{{ view }}}', name: '"><script>$&</script>{{ title }}' });
    assert.match(page, /^<title>&lt;\/title&gt;\{\{\{ view \}\}\}<\/title>/);
    assert.ok(page.includes('<input value="&quot;&gt;&lt;script&gt;$&amp;&lt;/script&gt;{{ title }}" />'));
  });

  it('say which value was not given', async () => {
    await assert.rejects(render({ title: 'Hens' }), /a view has \{\{ name \}\}, which is undefined/);
  });
});
