import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { run } from './command';

/** What `npm pack` made of the working tree. */
export interface Tarball {
  /** The `.tgz`. */
  readonly path: string;
  /** The files in it. */
  readonly files: ReadonlySet<string>;
  /** The files of the tree, before and after. */
  readonly sources: ReadonlySet<string>;
  readonly sourcesAfter: ReadonlySet<string>;
}

const root = join(__dirname, '../..');

/**
 * Packs a copy of the working tree, as a commit would hold it. Nothing is built in the tree itself, where others may
 * be running the sources.
 */
export async function pack(dir: string, signal: AbortSignal): Promise<Tarball> {
  const listed = await run('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    signal,
  });
  // Git still lists what was removed and not committed.
  const sources = listed.split('\0').filter((path) => path !== '' && existsSync(join(root, path)));
  const tree = join(dir, 'tree');
  for (const path of sources) {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await cp(join(root, path), join(tree, path));
  }
  await symlink(join(root, 'node_modules'), join(dir, 'node_modules'), 'dir');

  const args = ['pack', '--json', '--foreground-scripts=false', '--pack-destination', dir];
  const [packed] = JSON.parse(await run('npm', args, { cwd: tree, signal })) as [
    { filename: string; files: { path: string }[] },
  ];
  return {
    path: join(dir, packed.filename),
    files: new Set(packed.files.map(({ path }) => path)),
    sources: new Set(sources),
    sourcesAfter: await filesOf(tree),
  };
}

async function filesOf(dir: string): Promise<Set<string>> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory());
  return new Set(files.map((entry) => relative(dir, join(entry.parentPath, entry.name))));
}
