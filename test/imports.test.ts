import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

/** What each room of lib/ may import, besides what is in it: no more than it needs, and only what stands above it here. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  message: ['base'],
  options: ['base', 'message'],
  order: ['message'],
  redis: ['base', 'options'],
  client: [],
  log: ['message', 'options', 'order'],
  access: ['base', 'message', 'options', 'order'],
  connection: ['message', 'options', 'log', 'access'],
  pump: ['base', 'log', 'connection'],
  runs: ['base', 'message', 'order', 'log'],
  hub: ['base', 'message', 'options', 'order', 'log', 'access', 'connection', 'pump', 'runs'],
  http: ['base', 'message', 'options', 'order', 'access', 'connection', 'hub'],
  broker: ['base', 'order'],
  'broker/messenger': ['base', 'order', 'broker'],
  'broker/redis': ['base', 'message', 'options', 'order', 'redis', 'broker'],
  bridge: ['base', 'message', 'options', 'redis', 'connection'],
  'bridge/schedule': ['base', 'message', 'options', 'bridge'],
  egg: ['base', 'message', 'options', 'connection', 'http'],
};

/** The files that choose a broker: Egg's doors, and the one without Egg. */
const DOORS = new Set(['app.ts', 'agent.ts', 'lib/create_hub.ts']);
const BROKERS = new Set<string | undefined>(['broker', 'broker/messenger', 'broker/redis']);

/** The files that put others together. */
const COMPOSERS = new Set(['lib/parts.ts', 'lib/index.ts']);
const MAX_IMPORTS = 20;
const MAX_LINES = 350;
const MAX_FILES = 15;

const root = path.join(__dirname, '..');

/** Sources of the package, relative to its root. */
const files = [
  'app.ts',
  'agent.ts',
  ...['app', 'config', 'lib'].flatMap((folder) =>
    (readdirSync(path.join(root, folder), { recursive: true }) as string[]).map((file) =>
      path.posix.join(folder, file.replaceAll(path.sep, '/')),
    ),
  ),
].filter((file) => /\.m?ts$/.test(file) && !/\.d\.m?ts$/.test(file));

/** What a file imports, types included: files of the package, and packages by name. */
function importsOf(file: string): string[] {
  const { importedFiles } = ts.preProcessFile(textOf(file), true, true);
  return importedFiles.map(({ fileName }) => {
    if (!fileName.startsWith('.')) return fileName;
    const target = path.posix.join(path.posix.dirname(file), fileName).replace(/\.(m?)js$/, '.$1ts');
    const found = [target, `${target}.ts`, `${target}.mts`, `${target}/index.ts`].find((each) => files.includes(each));
    assert.ok(found, `${file} imports ${fileName}, which is no source file`);
    return found;
  });
}

function textOf(file: string): string {
  return readFileSync(path.join(root, file), 'utf8');
}

/** The room of a file; undefined for those that stand in none. */
function roomOf(file: string): string | undefined {
  const room = /^lib\/(.+)\/[^/]+$/.exec(file)?.[1];
  return room;
}

const imports = new Map(files.map((file) => [file, importsOf(file)]));

describe('the house', () => {
  it('has only rooms that are listed here', () => {
    const rooms = new Set(files.map(roomOf).filter((room) => room !== undefined));
    assert.deepEqual([...rooms].sort(), Object.keys(MAY_IMPORT).sort());
  });

  it('lists each room after all that it may import', () => {
    const rooms = Object.keys(MAY_IMPORT);
    for (const [room, others] of Object.entries(MAY_IMPORT)) {
      for (const other of others)
        assert.ok(rooms.indexOf(other) < rooms.indexOf(room), `${room} stands above ${other}`);
    }
  });

  it('has no room that imports what it may not, types included', () => {
    const wrong: string[] = [];
    for (const [file, targets] of imports) {
      const room = roomOf(file);
      if (room === undefined) continue;
      for (const target of targets.filter((each) => files.includes(each))) {
        const other = roomOf(target);
        if (other === room || (other !== undefined && MAY_IMPORT[room]!.includes(other))) continue;
        wrong.push(`${file} → ${target}`);
      }
    }
    assert.deepEqual(wrong, []);
  });

  it('has no permission that nothing uses', () => {
    const used = new Set(
      [...imports].flatMap(([file, targets]) => targets.map((to) => `${roomOf(file)} → ${roomOf(to)}`)),
    );
    const unused = Object.entries(MAY_IMPORT)
      .flatMap(([room, others]) => others.map((other) => `${room} → ${other}`))
      .filter((each) => !used.has(each));
    assert.deepEqual(unused, []);
  });

  it('has no circle of files, types included', () => {
    const done = new Set<string>();
    const visit = (file: string, above: readonly string[]): void => {
      assert.ok(!above.includes(file), `a circle: ${[...above.slice(above.indexOf(file)), file].join(' → ')}`);
      if (done.has(file)) return;
      for (const target of imports.get(file) ?? []) visit(target, [...above, file]);
      done.add(file);
    };
    for (const file of files) visit(file, []);
  });

  it('chooses a broker at its doors only', () => {
    for (const [file, targets] of imports) {
      const isBroker = BROKERS.has(roomOf(file));
      if (isBroker || DOORS.has(file)) continue;
      const brokers = targets.filter((target) => BROKERS.has(roomOf(target)));
      assert.deepEqual(brokers, [], file);
    }
  });

  it('imports egg as types only, at its doors, in its face and in lib/egg', () => {
    for (const [file, targets] of imports) {
      if (!targets.includes('egg')) continue;
      assert.match(file, /^(app|agent)\.ts$|^app\/|^lib\/index\.m?ts$|^lib\/egg\//);
      for (const [statement] of textOf(file).matchAll(/^import .* from 'egg';$/gm)) {
        assert.match(statement, /^import type /, file);
      }
    }
  });

  it('imports at run time nothing but Node, and ioredis from the app', () => {
    const packages = new Set(
      [...imports].flatMap(([, targets]) =>
        targets.filter((each) => !files.includes(each) && !each.startsWith('node:')),
      ),
    );
    assert.deepEqual([...packages], ['egg']);
  });

  it(`has no file of more than ${MAX_LINES} lines, no room of more than ${MAX_FILES} files`, () => {
    for (const file of files.filter((each) => each.startsWith('lib/'))) {
      const lines = textOf(file).split('\n').length - 1;
      assert.ok(lines < MAX_LINES, `${file} has ${lines} lines`);
    }
    for (const room of Object.keys(MAY_IMPORT)) {
      const count = files.filter((file) => roomOf(file) === room).length;
      assert.ok(count <= MAX_FILES, `lib/${room} has ${count} files`);
    }
  });

  it(`has no file that imports more than ${MAX_IMPORTS} others, but for what puts the parts together`, () => {
    for (const [file, targets] of imports) {
      if (COMPOSERS.has(file)) continue;
      assert.ok(targets.length <= MAX_IMPORTS, `${file} imports ${targets.length}`);
    }
  });
});
