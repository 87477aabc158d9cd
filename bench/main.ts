// `npm run bench`: see README.md in this folder.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildPlugin, compile, installRivals } from './build';
import { describeMachine, divide, findNchan, openFiles } from './machine';
import { putFigures, toCharts, toMarkdown, toSentence, toSummary } from './report';
import type { Results, Sample } from './results';
import { SERVERS, type ServerName } from './server';
import { SCENES, type Bench } from './works';

const LETTERS = [...new Set(SCENES.flatMap(({ letters }) => letters))];
const QUICK_LETTERS = ['a', 'b', 'c', 'e', 'f'];
const QUICK_SERVERS: readonly ServerName[] = ['ours', 'early', 'raw', 'better-sse', 'nchan', 'limit-1', 'limit-joined'];

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    servers: { type: 'string' },
    rounds: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
});

function listOf<T extends string>(
  given: string | undefined,
  known: readonly T[],
  fallback: readonly T[],
): readonly T[] {
  if (given === undefined) return fallback;
  const names = given.split(',') as T[];
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`there is no ${unknown.join(', ')}, only ${known.join(', ')}`);
  return names;
}

async function main(): Promise<void> {
  const isQuick = values.quick;
  const names = Object.keys(SERVERS) as ServerName[];
  const only = new Set(listOf(values.only, LETTERS, isQuick ? QUICK_LETTERS : LETTERS));
  let servers = listOf(values.servers, names, isQuick ? QUICK_SERVERS : names);
  const rounds = Number(values.rounds ?? (isQuick ? 1 : 3));
  const notes: string[] = [];
  const remark = (text: string): void => {
    notes.push(text);
    console.error(`!!! ${text}`);
  };

  const cores = divide();
  if (cores.warning !== undefined) remark(cores.warning);
  const nchan = findNchan();
  if (nchan === undefined && servers.includes('nchan')) {
    servers = servers.filter((name) => name !== 'nchan');
    remark('nchan is left out: no nginx with it found (Debian: apt-get install nginx libnginx-mod-nchan)');
  }
  const files = openFiles();
  if (files < 15_200) remark(`a process may have ${files} open files: with fewer clients than said (ulimit -n 20000)`);
  installRivals();
  const samples: Sample[] = [];
  const workshop = {
    plugin: buildPlugin(),
    limit: compile('limit'),
    nchan,
    pin: cores.servers,
    client: [...cores.clients, compile('client')],
  };
  const began = performance.now();
  const bench: Omit<Bench, 'round'> = {
    workshop,
    servers,
    only,
    isQuick,
    files,
    note(work, server, { figures, problems }) {
      samples.push({ work, server, figures, problems });
      const shown = Object.entries(figures).map(([name, value]) => `${name} ${Number(value.toPrecision(3))}`);
      const bad = problems.length > 0 ? `  !!! ${problems.join(', ')}` : '';
      console.error(`${seconds(began)} s  ${work} ${server}: ${shown.join(', ')}${bad}`);
    },
    fail(work, server, error) {
      const { message, cause } = error instanceof Error ? error : new Error(String(error));
      remark(`${work} ${server} failed: ${message} ${cause instanceof Error ? cause.message : ''}`);
    },
  };
  for (let round = 0; round < rounds; round++) {
    for (const scene of SCENES) {
      if (round > 0 && !scene.isRepeated) continue;
      const letters = scene.letters.filter((letter) => only.has(letter));
      if (letters.length === 0) continue;
      for (const server of scene.servers.filter((name) => servers.includes(name))) {
        try {
          await scene.measure({ ...bench, round }, server);
        } catch (error) {
          bench.fail(letters.join(', '), server, error);
        }
      }
    }
  }
  const results: Results = {
    date: new Date().toISOString().slice(0, 10),
    machine: describeMachine(),
    rounds,
    isQuick,
    notes,
    samples,
  };
  console.log(toMarkdown(results));
  const folder = join(__dirname, values.write ? 'results' : '.build');
  if (values.write) rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'results.json'), `${JSON.stringify(results, undefined, 1)}\n`);
  if (values.write) write(results, folder);
  console.error(`${seconds(began)} s; all figures are in ${join(folder, 'results.json')}`);
}

/** Writes all tables, the charts, and what the docs show of them. */
function write(results: Results, folder: string): void {
  writeFileSync(join(folder, 'README.md'), `# Results\n\n${toMarkdown(results)}`);
  for (const [name, { svg }] of Object.entries(toCharts(results))) writeFileSync(join(folder, `${name}.svg`), svg);
  const figures = { 'docs/speed.md': toSummary(results, '../bench/results'), 'README.md': toSentence(results) };
  for (const [page, text] of Object.entries(figures)) {
    const file = join(__dirname, '..', page);
    writeFileSync(file, putFigures(readFileSync(file, 'utf8'), text));
  }
}

function seconds(since: number): string {
  return ((performance.now() - since) / 1_000).toFixed(0);
}

// What is running ends with its input.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
