import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Context } from 'egg';

/** An addition to a page of the app. */
export interface Addition {
  /** A script of proof/app/public/. */
  readonly script: string;
  /** A style sheet from there. */
  readonly style?: string;
  /** A view whose panels come behind those of the page. */
  readonly panels?: string;
}

// The scripts of the page ask for its streams, and get streams that are watched.
const IMPORTS = JSON.stringify({
  imports: { '/public/stream.js': '/proof/stream.js' },
  scopes: { '/proof/': { '/public/stream.js': '/public/stream.js' } },
});

/**
 * Adds to a page of the app, as debug toolbars do: the app need not know of it.
 *
 * Its script comes before the page's, to watch the streams from the first one on.
 */
export function adding({ script, style, panels }: Addition) {
  return async (ctx: Context, next: () => Promise<unknown>): Promise<void> => {
    await next();
    const view = panels === undefined ? '' : await readFile(path.join(__dirname, 'app/view', panels), 'utf8');
    const link = style === undefined ? '' : `<link rel="stylesheet" href="/proof/${style}" />`;
    const head = `<script type="importmap">${IMPORTS}</script><script type="module" src="/proof/${script}"></script>`;
    ctx.body = String(ctx.body)
      .replace('<head>', () => `<head>${head}`)
      .replace('</head>', () => `${link}</head>`)
      .replace('</main>', () => `${view}</main>`);
  };
}
