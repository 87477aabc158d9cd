import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { inspect } from 'node:util';
import defaults from '../../config/config.default';
import { filesOf, textOf } from '../support/docs';

const ROOT = path.join(__dirname, '../..');
const HEADER = /^[A-Z]/;

/** The rows of a page's tables: what stands in the first two cells, without the sign of code and what is in brackets. */
function rowsOf(page: string): [string, string][] {
  return [...textOf(page).matchAll(/^\| `(?<name>[^`]+)` \| (?<value>.*?) \|/gm)].map(({ groups }) => {
    const { name, value } = groups!;
    return [name!, value!.replace(/ \(\d+ \w+\)$/, '').replaceAll('`', '')];
  });
}

/** Shows the options of an object as the docs do; those of an object in it have its name and a dot before theirs. */
function showAll(options: object, into: Map<string, string>, prefix = ''): void {
  for (const [key, value] of Object.entries(options) as [string, unknown][]) {
    const name = prefix + key;
    const isFilled = typeof value === 'object' && value !== null && Object.keys(value).length > 0;
    if (name === 'headers') {
      into.set(name, 'see [below](#headers)');
      showAll(value as object, into);
    } else if (isFilled) {
      into.set(name, 'an object');
      showAll(value, into, `${name}.`);
    } else if (typeof value === 'function') into.set(name, 'by /');
    else if (typeof value === 'number') into.set(name, value.toLocaleString('en-US'));
    else into.set(name, prefix === '' && HEADER.test(name) ? String(value) : inspect(value));
  }
}

describe('the tables of the docs', () => {
  it('have every option, with its default', () => {
    const options = new Map<string, string>();
    showAll(defaults.sse, options);
    assert.deepEqual(new Map(rowsOf('docs/options.md')), options);
  });

  it('have every code of an error, and no other', () => {
    const sources = ['lib', 'app'].flatMap((folder) => filesOf(folder, 'ts'));
    const texts = sources.map((file) => readFileSync(path.join(ROOT, file), 'utf8'));
    const codes = new Set(texts.flatMap((text) => text.match(/ERR_SSE_[A-Z_]+/g) ?? []));
    const told = rowsOf('docs/errors.md').map(([code]) => code);
    assert.deepEqual([...codes].sort(), [...told].sort());
  });
});
