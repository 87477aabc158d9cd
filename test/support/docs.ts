import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.join(__dirname, '../..');

/** A piece of code in a page. */
export interface Block {
  /** The file that it stands in, from the root on. */
  readonly page: string;
  /** The heading that it stands under. */
  readonly heading: string;
  readonly language: string;
  /** What its first line says: the file that it is of, or `the browser`. */
  readonly file: string | undefined;
  readonly code: string;
}

/** The texts that are followed and run, from the root on: `README.md` and what it leads to. */
export const PAGES: readonly string[] = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'bench/README.md',
  'bench/results/README.md',
  ...filesOf('docs', '.md'),
];

/** The text of a page. */
export function textOf(page: string): string {
  return readFileSync(path.join(ROOT, page), 'utf8');
}

const FENCE = /^```(?<language>.*)\n(?<code>[^]*?)^```$/gm;
const HEADING_OR_FENCE = new RegExp(`^#{1,6} (?<heading>.+)$|${FENCE.source}`, 'gm');
const FIRST_COMMENT = /^(?:\/\/|#) (?<file>.+)\n/;

/** The blocks of code of a page, in their order. */
export function blocksOf(page: string): Block[] {
  const blocks: Block[] = [];
  let heading = '';
  for (const { groups } of textOf(page).matchAll(HEADING_OR_FENCE)) {
    const { code, language } = groups!;
    if (code === undefined) heading = groups!.heading!;
    else blocks.push({ page, heading, language: language!, file: FIRST_COMMENT.exec(code)?.groups!.file, code });
  }
  return blocks;
}

/** Where the links and the pictures of a Markdown text lead. */
export function linksIn(text: string): string[] {
  // What stands in code is no link; what is linked may be code.
  const prose = text.replaceAll(FENCE, '').replaceAll(/`[^`]*`/g, '');
  return [...prose.matchAll(/\[[^\]]*\]\((?<target>[^()\s]+)\)/g)].map(({ groups }) => groups!.target!);
}

/** The anchors of a Markdown text: those that GitHub gives to its headings. */
export function anchorsIn(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const { groups } of text.replaceAll(FENCE, '').matchAll(/^#{1,6} (?<heading>.+)$/gm)) {
    const words = groups!
      .heading!.replaceAll(/\[(?<text>[^\]]*)\]\([^()]*\)/g, '$<text>')
      .trim()
      .toLowerCase();
    const name = words.replaceAll(/[^\p{L}\p{M}\p{N}\p{Pc} -]/gu, '').replaceAll(' ', '-');
    let anchor = name;
    for (let count = 1; anchors.has(anchor); count++) anchor = `${name}-${count}`;
    anchors.add(anchor);
  }
  return anchors;
}

/** The files of a folder, and of those in it, whose names end so; from the root on. */
export function filesOf(folder: string, ending: string): string[] {
  return readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(ending))
    .map((file) => path.posix.join(folder, file.replaceAll(path.sep, '/')))
    .sort();
}
