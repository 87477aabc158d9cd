import { readFileSync } from 'node:fs';
import path from 'node:path';

/** A piece of code in the README. */
export interface Snippet {
  /** The heading that it stands under. */
  readonly heading: string;
  /** What its first line says: the file that it is of, or `the browser`. */
  readonly file: string;
  readonly code: string;
}

const HEADING_OR_CODE = /^#{2,3} (?<heading>.+)$|^```(?:[jt]s|nginx)\n(?<code>(?:\/\/|#) (?<file>.+)\n[^]*?)^```$/gm;

/** The snippets of the README that say what they are of, from a heading to the next one of its kind. */
export function snippetsOf(chapter: string): Snippet[] {
  const readme = readFileSync(path.join(__dirname, '../../README.md'), 'utf8');
  const begin = readme.indexOf(`\n## ${chapter}\n`);
  if (begin === -1) throw new Error(`README.md has no chapter "${chapter}"`);
  const end = readme.indexOf('\n## ', begin + 1);
  const snippets: Snippet[] = [];
  let heading = chapter;
  for (const { groups } of readme.slice(begin, end === -1 ? undefined : end).matchAll(HEADING_OR_CODE)) {
    const { code, file } = groups!;
    if (code === undefined) heading = groups!.heading!;
    else snippets.push({ heading, file: file!, code });
  }
  return snippets;
}
