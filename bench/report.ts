import { medianOf, problemsIn, type Results } from './results';
import { SERVERS, type ServerName } from './server';

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

const WORKERS: Readonly<Record<string, string>> = Object.fromEntries(
  ['agent', 'redis'].flatMap((by) =>
    [1, 2, 4].map((count) => [
      `${by}-${count}`,
      `${count} worker${count > 1 ? 's' : ''}, through ${by === 'agent' ? 'the agent' : 'Redis'}`,
    ]),
  ),
);

/** All tables of what was measured. */
export function toMarkdown(results: Results): string {
  const tables = TABLES.map((table) => toTable(results, table)).filter((text) => text !== undefined);
  const notes = results.notes.map((note) => `- ${note}\n`).join('');
  return [...tables, ...(notes === '' ? [] : [`What was not as it should be:\n\n${notes}`])].join('\n');
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
  const times = ratio === 'more' ? ours / value : value / ours;
  return `${show(value)} (ours ${times.toFixed(times < 10 ? 1 : 0)} ×)${flag}`;
}
