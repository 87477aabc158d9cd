import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import vm from 'node:vm';
import defaults from '../../config/config.default';
import { checkOptions } from '../../lib/options/options';
import { blocksOf, PAGES, textOf, type Block } from '../support/docs';
import { compile, DocsApp, syntaxErrorsIn, type Placed } from '../support/docs_app';

const ROOT = path.join(__dirname, '../..');
const LANGUAGES = new Set(['ts', 'js', 'html', 'json', 'nginx', 'sh']);

const blocks = PAGES.flatMap(blocksOf);
const inLanguage = (language: string): Block[] => blocks.filter((block) => block.language === language);

describe("the docs' blocks", () => {
  it('say in what language they are', () => {
    assert.deepEqual(
      blocks.filter(({ language }) => !LANGUAGES.has(language)),
      [],
    );
  });

  it('of JavaScript can be parsed', () => {
    const scripts = inLanguage('html').map(({ page, code }) => ({ page, code: scriptOf(code) }));
    for (const { page, code } of [...inLanguage('js'), ...scripts])
      assert.equal(syntaxErrorsIn(code, '.mjs'), '', page);
  });

  it('of JSON can be parsed, and so can JSON in a line', () => {
    for (const { page, code } of inLanguage('json')) assert.doesNotThrow(() => JSON.parse(code), page);
    for (const page of PAGES) {
      for (const [, json] of textOf(page).matchAll(/`(\{ "[^`]*\})`/g)) {
        assert.doesNotThrow(() => JSON.parse(json!.replaceAll('{ … }', '{}')), `${page}: ${json}`);
      }
    }
  });

  it('and lines name commands that there are', () => {
    const { scripts } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as { scripts: object };
    for (const page of PAGES) {
      const text = textOf(page);
      for (const [command, name] of text.matchAll(/npm (?:run (?:-s )?([\w:]+)|(?:start|test)\b)/g)) {
        assert.ok((name ?? command.slice('npm '.length)) in scripts, `${page}: ${command}`);
      }
      for (const [, file] of text.matchAll(/--import tsx ([\w./]+)/g)) {
        assert.ok(existsSync(path.join(ROOT, file!)), `${page}: ${file}`);
      }
    }
  });
});

describe("the docs' blocks of TypeScript", () => {
  let app: DocsApp;
  before(() => (app = new DocsApp()));
  after(() => app.remove());

  it('pass the type checker', () => {
    assert.equal(app.typeErrors(), '');
  });

  it('configure what can be configured', () => {
    for (const block of app.of('config')) {
      const { sse = {} } = valueOf(block) as { sse?: Partial<Record<keyof typeof defaults.sse, object>> };
      const options: Record<string, unknown> = { ...defaults.sse };
      for (const [name, value] of Object.entries(sse)) options[name] = merged(options[name], value);
      assert.doesNotThrow(() => checkOptions(options), block.page);
    }
  });
});

function scriptOf(html: string): string {
  return /<script type="module">(?<code>[^]*)<\/script>/.exec(html)!.groups!.code!;
}

/** What a block of `config/` exports. */
function valueOf({ code }: Placed): unknown {
  const module = { exports: {} as { default?: unknown } };
  const env = { SSE_SECRET: 'a-secret-of-this-test' };
  vm.runInThisContext(`(module, exports, require, process) => {${compile(code)}}`)(module, module.exports, () => ({}), {
    env,
  });
  const { default: value } = module.exports;
  return typeof value === 'function' ? (value as () => unknown)() : value;
}

/** As Egg does: objects are merged. */
function merged(value: unknown, own: unknown): unknown {
  const areObjects = [value, own].every((one) => typeof one === 'object' && one !== null && !Array.isArray(one));
  return areObjects ? { ...(value as object), ...(own as object) } : own;
}
