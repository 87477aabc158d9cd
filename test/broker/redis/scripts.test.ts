import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describeWithRedis, RedisServer } from '../../support/redis_server';

const LIB = join(__dirname, '../../../lib');

/** The paths of all files below a folder that have an ending. */
function filesOf(folder: string, ending: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith(ending) && !path.endsWith(`.d${ending}`))
    .map((path) => join(folder, path))
    .toSorted();
}

const files = filesOf(LIB, '.lua').map((path) => ({ path: relative(LIB, path), text: readFileSync(path, 'utf8') }));

/** The modules beside the folders of .lua files, which make scripts of them. */
const modules = [...new Set(files.map(({ path }) => join(LIB, dirname(path), '../scripts.ts')))];

const scripts = modules.flatMap((module) => {
  // oxlint-disable-next-line typescript/no-require-imports -- which modules there are is found by looking
  const exported = require(module) as Readonly<Record<string, string>>;
  return Object.entries(exported).map(([name, text]) => ({ name, text, module }));
});

describe('the Lua scripts', () => {
  it('are made of every .lua file of lib/', () => {
    assert.ok(files.length > 0);
    const unused = files.filter(({ text }) => !scripts.some((script) => script.text.includes(text)));
    assert.deepEqual(
      unused.map(({ path }) => path),
      [],
    );
  });

  it('are each run by a file beside them', () => {
    const unused = scripts.filter(({ name, module }) => {
      const sources = filesOf(dirname(module), '.ts').filter((path) => path !== module);
      return !sources.some((path) => uses(readFileSync(path, 'utf8'), name));
    });
    assert.deepEqual(
      unused.map(({ name }) => name),
      [],
    );
  });

  it('say at the top of every file what it is for', () => {
    for (const { path, text } of files) assert.match(text, /^-- [A-Z]/, path);
  });
});

describeWithRedis('each Lua script', () => {
  let redis: RedisServer;
  before(async () => (redis = await RedisServer.start()));
  after(() => redis.stop());

  for (const { name, text } of scripts) {
    it(`loads into Redis: ${name}`, async () => {
      assert.match(String(await redis.admin.script('LOAD', text)), /^[0-9a-f]{40}$/);
    });
  }
});

/** Whether a source has a name elsewhere than in its imports. */
function uses(source: string, name: string): boolean {
  return new RegExp(`\\b${name}\\b`).test(source.replaceAll(/^import [^;]*;$/gm, ''));
}
