import { bars, lines, type Lines, type Panel } from './chart';
import { medianOf, pointsOf, problemsIn, type Results } from './results';
import { SERVERS, type ServerName } from './server';

const SHORT: Readonly<Record<ServerName, string>> = {
  ours: 'egg-sse 2',
  early: 'egg-sse 2, early',
  hub: 'egg-sse 2, createHub',
  raw: 'res.write',
  'better-sse': 'better-sse',
  'fastify-sse': '@fastify/sse',
  original: 'egg-sse 1.0.7',
  nchan: 'nchan (C)',
  'limit-1': 'C, one by one',
  'limit-joined': 'C, joined',
};

const OURS: ReadonlySet<ServerName> = new Set<ServerName>(['ours', 'early', 'hub']);

// Of the lines in charts: the same everywhere.
const COLORS: Readonly<Partial<Record<ServerName, number>>> = { ours: 0, raw: 1, 'better-sse': 2, nchan: 3 };

/** A figure of a work, as a column of a table. */
interface Column {
  readonly title: string;
  readonly work: string;
  readonly figure: string;
  readonly show: (value: number) => string;
  /** How many times better than another server ours is; left out: not compared. */
  readonly ratio?: 'more' | 'less';
}

interface Table {
  readonly title: string;
  readonly columns: readonly Column[];
  /** Whether docs/speed.md shows it, too. */
  readonly isMain?: boolean;
}

const thousands = (value: number): string =>
  value >= 1e6 ? `${(value / 1e6).toFixed(2)} M` : `${Math.round(value / 1e3)} k`;
const ms = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
const micro = (value: number): string => `${value.toFixed(value < 10 ? 2 : 0)} µs`;
const kB = (value: number): string => `${(value / 1e3).toFixed(1)} kB`;
const MB = (value: number): string => `${(value / 1e6).toFixed(0)} MB`;
const percent = (value: number): string => `${(value * 100).toFixed(1)} %`;
const s = (value: number): string => `${value.toFixed(2)} s`;

const speed = (title: string, work: string): Column => ({
  title,
  work,
  figure: 'perCpuSecond',
  show: thousands,
  ratio: 'more',
});

const TABLES: readonly Table[] = [
  {
    title: 'Deliveries per second of CPU',
    isMain: true,
    columns: [
      speed('a: 1,000 clients, 200 B', 'a-1000-200'),
      speed('a: 1,000, 2 kB', 'a-1000-2000'),
      speed('a: 10,000, 200 B', 'a-10000-200'),
      speed('a: 10,000, 2 kB', 'a-10000-2000'),
      speed('b: bursts of 100', 'b'),
    ],
  },
  {
    title: '10 messages a second to 1,000 clients (c)',
    isMain: true,
    columns: [
      { title: 'p50', work: 'c', figure: 'p50', show: ms },
      { title: 'p99', work: 'c', figure: 'p99', show: ms },
      { title: 'p99.9', work: 'c', figure: 'p999', show: ms },
      { title: 'CPU per delivery', work: 'c', figure: 'cpuMicroseconds', show: micro, ratio: 'less' },
    ],
  },
  {
    title: 'One message to one of 10,000 keys (d): CPU per delivery',
    columns: [
      { title: 'a message per turn', work: 'd-1', figure: 'cpuMicroseconds', show: micro, ratio: 'less' },
      { title: '100 messages per turn', work: 'd-100', figure: 'cpuMicroseconds', show: micro, ratio: 'less' },
    ],
  },
  {
    title: '10,000 connections that are idle',
    isMain: true,
    columns: [
      { title: 'e: memory of one', work: 'e', figure: 'bytes', show: kB, ratio: 'less' },
      { title: 'f: CPU to open one', work: 'f', figure: 'cpuMicroseconds', show: micro, ratio: 'less' },
      { title: 'g: CPU of a ping', work: 'g', figure: 'cpuMicroseconds', show: micro, ratio: 'less' },
      { title: 'g: of a core, with pings', work: 'g', figure: 'share', show: percent },
    ],
  },
  {
    title: 'All come back at once, 1,000 messages each (h)',
    columns: [
      { title: 'until all have all', work: 'h', figure: 'seconds', show: s },
      { title: 'CPU', work: 'h', figure: 'cpu', show: s },
      speed('deliveries per second of CPU', 'h'),
    ],
  },
  {
    title: '5 of 100 clients do not read, 12 MB for each (i)',
    isMain: true,
    columns: [
      { title: 'memory grows by', work: 'i', figure: 'growth', show: MB },
      { title: 'p99 of those who read', work: 'i', figure: 'p99', show: ms },
      { title: 'speed for them', work: 'i', figure: 'speed', show: percent },
    ],
  },
  {
    title: 'Several workers, 1,000 clients (j)',
    columns: [
      { title: 'until the last client has it, p50', work: 'j', figure: 'lastP50', show: ms },
      { title: 'p99', work: 'j', figure: 'lastP99', show: ms },
      { title: 'CPU of all processes per delivery', work: 'j', figure: 'allCpuMicroseconds', show: micro },
      { title: 'a message per turn: deliveries per second', work: 'j', figure: 'perSecond', show: thousands },
    ],
  },
];

// What the README says of it.
const SENTENCE = {
  ...speed('', 'a-1000-200'),
  rivals: [
    ['raw', '`res.write` of node:http'],
    ['better-sse', 'better-sse'],
    ['original', 'egg-sse 1'],
  ],
} as const;

const WORKERS: Readonly<Record<string, string>> = Object.fromEntries(
  ['agent', 'redis'].flatMap((by) =>
    [1, 2, 4].map((count) => [
      `${by}-${count}`,
      `${count} worker${count > 1 ? 's' : ''}, through ${by === 'agent' ? 'the agent' : 'Redis'}`,
    ]),
  ),
);

/** What the pump is to reach, at its best. */
const GOALS: readonly Goal[] = [
  { text: 'a, 1,000 clients: at least 8 times better-sse', of: more('a-1000-200', 'better-sse'), least: 8 },
  { text: 'a, 1,000 clients: at least 5 times nchan', of: more('a-1000-200', 'nchan'), least: 5 },
  { text: 'a, 10,000 clients: at least 20 times better-sse', of: more('a-10000-200', 'better-sse'), least: 20 },
  { text: 'a, 10,000 clients: at least 12 times nchan', of: more('a-10000-200', 'nchan'), least: 12 },
  { text: 'b: at least 0.75 of a C server that joins the burst', of: more('b', 'limit-joined'), least: 0.75 },
  { text: 'c: p99 no worse than nchan', of: less('c', 'nchan', 'p99'), least: 1 },
  { text: 'c: CPU per delivery no worse than nchan', of: less('c', 'nchan', 'cpuMicroseconds'), least: 1 },
  { text: 'd, a message per turn: CPU no worse than res.write', of: less('d-1', 'raw', 'cpuMicroseconds'), least: 1 },
  { text: 'd, 100 per turn: CPU no worse than res.write', of: less('d-100', 'raw', 'cpuMicroseconds'), least: 1 },
];

interface Goal {
  readonly text: string;
  /** How many times better ours is. */
  readonly of: (results: Results) => number | undefined;
  readonly least: number;
}

function more(work: string, rival: ServerName, figure = 'perCpuSecond'): Goal['of'] {
  return (results) => {
    const [ours, theirs] = [medianOf(results, work, 'ours', figure), medianOf(results, work, rival, figure)];
    return ours === undefined || theirs === undefined ? undefined : ours / theirs;
  };
}

function less(work: string, rival: ServerName, figure: string): Goal['of'] {
  const inverse = more(work, rival, figure);
  return (results) => {
    const ratio = inverse(results);
    return ratio === undefined ? undefined : 1 / ratio;
  };
}

/** All that was measured, in tables. */
export function toMarkdown(results: Results): string {
  const goals = GOALS.flatMap(({ text, of, least }) => {
    const ratio = of(results);
    return ratio === undefined ? [] : `| ${text} | ${ratio.toFixed(2)} | ${ratio >= least ? 'yes' : '**no**'} |\n`;
  });
  const notes = results.notes.map((note) => `- ${note}\n`);
  return [
    toHead(results),
    ...toTables(results, TABLES),
    ...(goals.length > 0 ? [`**Goals**\n\n| | ratio | reached |\n| --- | ---: | --- |\n${goals.join('')}`] : []),
    ...(notes.length > 0 ? [`What was not as it should be:\n\n${notes.join('')}`] : []),
  ].join('\n');
}

/** What docs/speed.md shows of it; `folder` is where the charts are. */
export function toSummary(results: Results, folder: string): string {
  const pictures = Object.entries(toCharts(results)).map(([name, { alt }]) => `![${alt}](${folder}/${name}.svg)\n`);
  return [
    toHead(results),
    ...toTables(
      results,
      TABLES.filter(({ isMain }) => isMain),
    ),
    ...pictures,
  ].join('\n');
}

/** What the README says of it, in a sentence; `''` when that was not measured. */
export function toSentence(results: Results): string {
  const { work, show, figure } = SENTENCE;
  const ours = medianOf(results, work, 'ours', figure);
  if (ours === undefined) return '';
  const others = SENTENCE.rivals.flatMap(([rival, name]) => {
    const value = medianOf(results, work, rival, figure);
    return value === undefined ? [] : `${timesOf(ours / value)} times as many as ${name}`;
  });
  return `**Speed.** A message per turn to 1,000 clients: ${[`${show(ours)} deliveries per second of CPU`, ...others].join(', ')} ([figures](docs/speed.md)).\n`;
}

const BEGIN = '<!-- bench: written by `npm run bench -- --write` -->';
const END = '<!-- /bench -->';

/** A page with what was measured in its place. Throws when it has none. */
export function putFigures(page: string, figures: string): string {
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`there is no place for the figures: ${BEGIN} … ${END}`);
  return `${page.slice(0, from + BEGIN.length)}\n\n${figures}\n${page.slice(to)}`;
}

function toHead({ date, machine, rounds, isQuick }: Results): string {
  const how = isQuick ? 'a quick run, so only roughly right' : `medians of ${rounds} rounds`;
  return `Measured on ${date}: ${machine}; ${how}.\n`;
}

function toTables(results: Results, tables: readonly Table[]): string[] {
  return tables.map((table) => toTable(results, table)).filter((text) => text !== undefined);
}

/** Charts of what was measured, by name. */
export function toCharts(results: Results): Readonly<Record<string, { readonly alt: string; readonly svg: string }>> {
  const charts: Record<string, { alt: string; svg: string }> = {};
  const draw = (name: string, alt: string, panels: readonly (Panel | undefined)[]): void => {
    const drawn = panels.filter((panel) => panel !== undefined);
    if (drawn.length > 0) charts[name] = { alt, svg: bars(alt, drawn) };
  };
  const panel = (title: string, work: string, figure: string, show: Panel['show']): Panel | undefined => {
    const values = (Object.keys(SERVERS) as ServerName[]).flatMap((server) => {
      const value = medianOf(results, work, server, figure);
      return value === undefined ? [] : { label: SHORT[server], value, isOurs: OURS.has(server) };
    });
    return values.length > 0 ? { title, bars: values, show } : undefined;
  };
  const grow = (
    name: string,
    title: string,
    options: Pick<Lines, 'x' | 'show' | 'isLinear'> & { figure: string },
  ): void => {
    const series = Object.entries(COLORS).flatMap(([server, color]) => {
      const points = pointsOf(results, name, server, options.figure);
      return points.length > 0 ? { label: SHORT[server as ServerName], color, points } : [];
    });
    if (series.length > 0) charts[name] = { alt: title, svg: lines({ ...options, title, series }) };
  };
  draw('speed', 'Deliveries per second of CPU: more is better', [
    panel(
      'A message per turn to 1,000 clients (a): deliveries per second of CPU',
      'a-1000-200',
      'perCpuSecond',
      thousands,
    ),
    panel('The same to 10,000 clients', 'a-10000-200', 'perCpuSecond', thousands),
    panel('Bursts of 100 to 1,000 clients (b)', 'b', 'perCpuSecond', thousands),
  ]);
  draw('latency', 'Latency of 10 messages a second to 1,000 clients: less is better', [
    panel('10 messages a second to 1,000 clients (c): p50', 'c', 'p50', ms),
    panel('p99', 'c', 'p99', ms),
    panel('p99.9', 'c', 'p999', ms),
  ]);
  draw('memory', 'Memory: less is better', [
    panel('Memory of an idle connection (e)', 'e', 'bytes', kB),
    panel('5 of 100 clients do not read (i): memory grows by', 'i', 'growth', MB),
  ]);
  grow('clients', 'CPU per delivery, a message per turn', { figure: 'cpuMicroseconds', x: 'clients', show: micro });
  grow('keys', 'CPU per delivery, each message to one of many keys', {
    figure: 'cpuMicroseconds',
    x: 'keys',
    show: micro,
  });
  grow('kept', 'Memory of the history', {
    figure: 'bytes',
    x: 'kept messages of 200 B',
    show: MB,
    isLinear: true,
  });
  return charts;
}

function toTable(results: Results, { title, columns }: Table): string | undefined {
  const used = columns.filter(({ work }) => results.samples.some((sample) => sample.work === work));
  if (used.length === 0) return undefined;
  const rows = Object.entries({ ...SERVERS, ...WORKERS }).flatMap(([server, name]) => {
    const cells = used.map((column) => toCell(results, column, server as ServerName));
    return cells.every((cell) => cell === '')
      ? []
      : [`| ${server === 'ours' ? `**${name}**` : name} | ${cells.join(' | ')} |\n`];
  });
  const head = `| | ${used.map((column) => column.title).join(' | ')} |\n| --- |${' ---: |'.repeat(used.length)}\n`;
  return `**${title}**\n\n${head}${rows.join('')}`;
}

function toCell(results: Results, { work, figure, show, ratio }: Column, server: string): string {
  const value = medianOf(results, work, server, figure);
  if (value === undefined) return '';
  const wrong = problemsIn(results, work, server);
  const flag = wrong.length > 0 ? ` (${wrong.join(', ')})` : '';
  const ours = medianOf(results, work, 'ours', figure);
  if (ratio === undefined || ours === undefined || server === 'ours') return show(value) + flag;
  return `${show(value)} (ours ${timesOf(ratio === 'more' ? ours / value : value / ours)} ×)${flag}`;
}

function timesOf(ratio: number): string {
  return ratio.toFixed(ratio < 10 ? 1 : 0);
}
