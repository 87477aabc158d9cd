import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { isAlive } from './processes';

const FIXTURES = join(__dirname, '../fixtures');

/** A worker of an app, with a port of its own. */
export interface Worker {
  readonly pid: number;
  readonly url: string;
}

/** Where an app is: a folder of test/fixtures/apps, or an absolute path. */
export function appPath(app: string): string {
  return resolve(FIXTURES, 'apps', app);
}

/** What Egg is told of plugins: each a folder of test/fixtures/plugins, or an absolute path, by name. */
export function pluginsOf(paths: Readonly<Record<string, string>>): Record<string, { enable: true; path: string }> {
  return Object.fromEntries(
    Object.entries(paths).map(([name, path]) => [name, { enable: true, path: resolve(FIXTURES, 'plugins', path) }]),
  );
}

/** A folder of a test's own, where the processes of its app write, and find what the test tells them. */
export class FixtureDir {
  readonly path = mkdtempSync(join(tmpdir(), 'egg-sse-test-'));

  constructor() {
    mkdirSync(join(this.path, 'workers'));
  }

  /** What tells an app of it, and how the app `basic` is configured. */
  environment(config: object = {}): { FIXTURE_DIR: string; FIXTURE_CONFIG: string } {
    return { FIXTURE_DIR: this.path, FIXTURE_CONFIG: JSON.stringify(config) };
  }

  /** The living workers of the app, which has the plugin `own_port`. */
  workers(): Worker[] {
    return readdirSync(join(this.path, 'workers'))
      .filter((name) => /^\d+$/.test(name) && isAlive(Number(name)))
      .map((name) => {
        const { port, born } = JSON.parse(this.read(join('workers', name))) as { port: number; born: string };
        return { pid: Number(name), url: `http://127.0.0.1:${port}`, born };
      })
      .filter(({ pid, born }) => isAlive(pid, born))
      .map(({ pid, url }) => ({ pid, url }));
  }

  /** What the processes of the app `basic` wrote to a log. */
  log(name: string): string {
    return this.read(join('logs', name));
  }

  /** What is in a file, if it is there. */
  read(name: string): string {
    const file = join(this.path, name);
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  /** Writes a file, which is there whole or not at all. */
  write(name: string, text: string): void {
    const file = join(this.path, name);
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
