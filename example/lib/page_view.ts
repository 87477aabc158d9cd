import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Context } from 'egg';

type Values = Readonly<Record<string, unknown>>;

const PLACE = /\{\{\{ view \}\}\}|\{\{ (\w+) \}\}/g;

/**
 * The engine behind `ctx.render`: a view is HTML, and `{{ name }}` in it is the value of that name, as text.
 *
 * Each view comes inside layout.html, in the place of `{{{ view }}}`; home.html brings home.css and home.js with it.
 */
export class PageView {
  readonly #ctx: Context;

  constructor(ctx: Context) {
    this.#ctx = ctx;
  }

  async render(file: string, locals: Values): Promise<string> {
    const { app, path: here } = this.#ctx;
    const layout = await app.view.resolve('layout.html');
    const [outer, inner] = await Promise.all([readFile(layout, 'utf8'), readFile(file, 'utf8')]);
    const name = path.basename(file, '.html');
    const values = { style: `/public/${name}.css`, script: `/public/${name}.js`, ...locals };
    const page = this.#fill(outer, values, this.#fill(inner, values));
    return page.replace(`href="${here}"`, '$& aria-current="page"');
  }

  async renderString(text: string, locals: Values): Promise<string> {
    return this.#fill(text, locals);
  }

  #fill(text: string, values: Values, view = ''): string {
    return text.replace(PLACE, (_place, name?: string) => {
      if (name === undefined) return view;
      const value = values[name];
      if (typeof value !== 'string' && typeof value !== 'number') {
        throw new TypeError(`a view has {{ ${name} }}, which is ${typeof value}; give ctx.render a text or a number`);
      }
      return this.#ctx.helper.escape(String(value));
    });
  }
}
