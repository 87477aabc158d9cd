import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { blocksOf } from './docs';
import { typeErrorsIn } from './type_errors';

const ROOT = path.join(__dirname, '../..');
const BROWSER = 'the browser';

/** An app that is what docs/recipes.md says, word for word, and from test/fixtures/apps/recipes what it leaves to its reader. */
export class RecipesApp {
  readonly dir = mkdtempSync(path.join(tmpdir(), 'egg-sse-recipes-'));

  /** `bodies`: what the page of each recipe shows, in HTML, by the recipe's heading. */
  constructor(bodies: Readonly<Record<string, string>>) {
    cpSync(path.join(ROOT, 'test/fixtures/apps/recipes'), this.dir, { recursive: true });
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(this.dir, 'node_modules'));
    const publicDir = path.join(this.dir, 'app/public');
    mkdirSync(publicDir);
    cpSync(path.join(ROOT, 'example/app/public/post.js'), path.join(publicDir, 'post.js'));
    for (const { heading, file = '', code } of [...blocksOf('README.md'), ...blocksOf('docs/recipes.md')]) {
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
    return typeErrorsIn(this.dir);
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
