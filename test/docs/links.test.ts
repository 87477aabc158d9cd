import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { anchorsIn, filesOf, linksIn, PAGES, textOf } from '../support/docs';

const ROOT = path.join(__dirname, '../..');

/** What is wrong with the links of a page. */
function faultsOf(page: string): string[] {
  return linksIn(textOf(page)).flatMap((link) => {
    if (link.startsWith('https://')) return [];
    const [file, anchor] = link.split('#', 2) as [string, string?];
    const target = file === '' ? page : path.posix.join(path.posix.dirname(page), file);
    if (!existsSync(path.join(ROOT, target))) return [`${page}: there is no ${link}`];
    if (anchor === undefined || (target.endsWith('.md') && anchorsIn(textOf(target)).has(anchor))) return [];
    return [`${page}: there is no heading for ${link}`];
  });
}

describe('the docs', () => {
  for (const page of PAGES) {
    it(`lead somewhere with every link of ${page}`, () => {
      assert.deepEqual(faultsOf(page), []);
    });
  }

  it('are all in the README, and in the index', () => {
    const pages = filesOf('docs', '.md').map((page) => page.slice('docs/'.length));
    const linked = (page: string): Set<string> => new Set(linksIn(textOf(page)).map((link) => link.split('#')[0]!));
    const [readme, index] = [linked('README.md'), linked('docs/README.md')];
    assert.deepEqual(
      pages.filter((page) => !readme.has(`docs/${page}`)),
      [],
    );
    assert.deepEqual(
      pages.filter((page) => page !== 'README.md' && !index.has(page)),
      [],
    );
  });

  it('begin with a README that is read in a few minutes', () => {
    assert.ok(Buffer.byteLength(textOf('README.md')) <= 12_000);
  });
});

describe('what reads the docs', () => {
  it('finds links, but not in code', () => {
    const text = 'See [a](b.md), [`c`](#d) and ![e](f.svg), not `[g](h)`.\n\n```ts\nx[i](j)\n```\n';
    assert.deepEqual(linksIn(text), ['b.md', '#d', 'f.svg']);
  });

  it('knows the anchors that GitHub gives', () => {
    const text = [
      '# HTTP/2 and proxies',
      '## `app.sse`',
      "## The plugin's own events: `sse:gap`",
      '## 100,000 streams & more',
      '## A [link](b.md)',
      '## Été_2',
      '```sh\n# no heading\n```',
      '### The plugin’s',
      '## `app.sse`',
    ].join('\n\n');
    assert.deepEqual(
      [...anchorsIn(`${text}\n`)],
      [
        'http2-and-proxies',
        'appsse',
        'the-plugins-own-events-ssegap',
        '100000-streams--more',
        'a-link',
        'été_2',
        'the-plugins',
        'appsse-1',
      ],
    );
  });
});
