import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import ts from 'typescript';
import { snippetsOf } from './readme';

const ROOT = path.join(__dirname, '../..');
const BROWSER = 'the browser';

/** An app that is what the README says, word for word, and from test/fixtures/apps/recipes what it leaves to its reader. */
export class RecipesApp {
  readonly dir = mkdtempSync(path.join(tmpdir(), 'egg-sse-recipes-'));

  /** `bodies`: what the page of each recipe shows, in HTML, by the recipe's heading. */
  constructor(bodies: Readonly<Record<string, string>>) {
    cpSync(path.join(ROOT, 'test/fixtures/apps/recipes'), this.dir, { recursive: true });
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(this.dir, 'node_modules'));
    const publicDir = path.join(this.dir, 'app/public');
    mkdirSync(publicDir);
    cpSync(path.join(ROOT, 'example/app/public/post.js'), path.join(publicDir, 'post.js'));
    for (const { heading, file, code } of [...snippetsOf('In five lines'), ...snippetsOf('Recipes')]) {
      if (file === BROWSER) {
        const body = bodies[heading];
        if (body !== undefined) this.#write(`app/public/${nameOf(heading)}.html`, pageOf(body, code));
      } else if (/^\S+\.ts$/.test(file)) {
        this.#write(file, code);
      }
    }
  }

  /** The path of a recipe's page. */
  pageOf(heading: string): string {
    return `/public/${nameOf(heading)}.html`;
  }

  /** What the type checker says against it. */
  typeErrors(): string {
    const { config } = ts.readConfigFile(path.join(ROOT, 'tsconfig.json'), ts.sys.readFile) as { config: object };
    const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
    const files = ts.sys.readDirectory(this.dir, ['.ts'], ['**/node_modules'], ['**/*.ts']);
    const program = ts.createProgram(files, { ...options, rootDir: undefined });
    return ts.formatDiagnostics(ts.getPreEmitDiagnostics(program), {
      getCanonicalFileName: (name) => name,
      getCurrentDirectory: () => this.dir,
      getNewLine: () => '\n',
    });
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }

  #write(file: string, text: string): void {
    const place = path.join(this.dir, file);
    mkdirSync(path.dirname(place), { recursive: true });
    writeFileSync(place, text);
  }
}

function nameOf(heading: string): string {
  return heading.toLowerCase().replaceAll(' ', '-');
}

function pageOf(body: string, code: string): string {
  return `<!doctype html><meta charset="utf-8" />${body}<script type="module">${code}</script>`;
}
