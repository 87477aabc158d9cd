// Charts as SVG that stand by themselves, and follow the reader's light or dark mode.

/** Bars that share a scale. */
export interface Panel {
  readonly title: string;
  readonly bars: readonly { readonly label: string; readonly value: number; readonly isOurs: boolean }[];
  readonly show: (value: number) => string;
}

/** Lines over logarithmic axes, or over linear ones from 0. */
export interface Lines {
  readonly title: string;
  readonly x: string;
  readonly series: readonly Series[];
  readonly show: (value: number) => string;
  readonly isLinear?: boolean;
}

/** A line; `color` is 0 to 3, and 0 stands out. */
export interface Series {
  readonly label: string;
  readonly color: number;
  readonly points: readonly (readonly [x: number, y: number])[];
}

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-weight: 600; }
  .quiet { fill: #59636e; }
  .bar, .s1 { fill: #8c959f; }
  .ours, .s0 { fill: #0969da; }
  .s2 { fill: #bc4c00; }
  .s3 { fill: #1a7f37; }
  path { fill: none !important; stroke-width: 2; }
  path.s0 { stroke: #0969da; stroke-width: 3; } path.s1 { stroke: #8c959f; }
  path.s2 { stroke: #bc4c00; } path.s3 { stroke: #1a7f37; }
  line { stroke: #d1d9e0; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .quiet { fill: #9198a1; }
    .bar, .s1 { fill: #7d8590; }
    .ours, .s0 { fill: #4493f8; }
    .s2 { fill: #f0883e; }
    .s3 { fill: #3fb950; }
    path.s0 { stroke: #4493f8; } path.s1 { stroke: #7d8590; } path.s2 { stroke: #f0883e; } path.s3 { stroke: #3fb950; }
    line { stroke: #3d444d; }
  }`;

const WIDTH = 760;
const LABELS = 150;
const VALUES = 90;
const ROW = 24;

const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
const round = (value: number): string => value.toFixed(1);

function text(x: number, y: number, content: string, { anchor = 'start', kind = '' } = {}): string {
  const name = kind === '' ? '' : ` class="${kind}"`;
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}"${name}>${escape(content)}</text>`;
}

function svg(height: number, title: string, parts: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">
<title>${escape(title)}</title>
<style>${STYLE}
</style>
${parts.join('\n')}
</svg>
`;
}

/** One panel of horizontal bars below the other, each with a scale of its own. */
export function bars(title: string, panels: readonly Panel[]): string {
  const parts: string[] = [];
  let y = 8;
  for (const panel of panels) {
    parts.push(text(0, y + 14, panel.title, { kind: 'title' }));
    y += 26;
    const most = Math.max(...panel.bars.map(({ value }) => value));
    for (const { label, value, isOurs } of panel.bars) {
      const width = Math.max(1, (value / most) * (WIDTH - LABELS - VALUES));
      const kind = isOurs ? 'ours' : 'bar';
      parts.push(
        text(LABELS - 8, y + 15, label, { anchor: 'end', kind: isOurs ? 'title' : '' }),
        `<rect class="${kind}" x="${LABELS}" y="${y + 3}" width="${round(width)}" height="${ROW - 7}" rx="2"/>`,
        text(LABELS + width + 6, y + 15, panel.show(value), { kind: 'quiet' }),
      );
      y += ROW;
    }
    y += 14;
  }
  return svg(y, title, parts);
}

const PLOT = { left: 70, right: WIDTH - 110, top: 40, bottom: 290 };

/** Lines with a label at each one's end; a logarithmic axis begins at a power of ten. */
export function lines({ title, x: xTitle, series, show, isLinear = false }: Lines): string {
  const scale = isLinear ? linear : logarithmic;
  const all = series.flatMap(({ points }) => points);
  const toX = scale(
    all.map(([x]) => x),
    PLOT.left,
    PLOT.right,
  );
  const toY = scale(
    all.map(([, y]) => y),
    PLOT.bottom,
    PLOT.top,
  );
  const parts = [text(0, 20, title, { kind: 'title' })];
  for (const y of toY.ticks) {
    const at = toY.place(y);
    parts.push(
      `<line x1="${PLOT.left}" x2="${PLOT.right}" y1="${round(at)}" y2="${round(at)}"/>`,
      text(PLOT.left - 8, at + 4, show(y), { anchor: 'end', kind: 'quiet' }),
    );
  }
  for (const x of toX.ticks) {
    parts.push(text(toX.place(x), PLOT.bottom + 20, x.toLocaleString('en'), { anchor: 'middle', kind: 'quiet' }));
  }
  parts.push(text((PLOT.left + PLOT.right) / 2, PLOT.bottom + 40, xTitle, { anchor: 'middle', kind: 'quiet' }));
  const ends = spread(series.map(({ points }) => toY.place(points.at(-1)![1])));
  series.forEach(({ label, color, points }, i) => {
    const places = points.map(([x, y]) => [round(toX.place(x)), round(toY.place(y))] as const);
    parts.push(
      `<path class="s${color}" d="M${places.map((place) => place.join(' ')).join('L')}"/>`,
      ...places.map(([x, y]) => `<circle class="s${color}" cx="${x}" cy="${y}" r="3.5"/>`),
      text(PLOT.right + 8, ends[i]! + 4, label, { kind: `s${color}` }),
    );
  });
  return svg(PLOT.bottom + 52, title, parts);
}

interface Scale {
  place(value: number): number;
  readonly ticks: readonly number[];
}

function logarithmic(values: readonly number[], from: number, to: number): Scale {
  const low = Math.floor(Math.log10(Math.min(...values)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values))));
  return {
    place: (value) => from + ((Math.log10(value) - low) / (high - low)) * (to - from),
    ticks: Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i)),
  };
}

function linear(values: readonly number[], from: number, to: number): Scale {
  const most = Math.max(...values);
  const power = 10 ** Math.floor(Math.log10(most));
  const step = [0.2, 0.5, 1, 2].map((size) => size * power).find((size) => most / size <= 6)!;
  const count = Math.ceil(most / step);
  return {
    place: (value) => from + (value / (count * step)) * (to - from),
    ticks: Array.from({ length: count + 1 }, (_, i) => i * step),
  };
}

/** Moves labels apart that would lie on each other. */
function spread(places: readonly number[]): number[] {
  const order = places.map((place, i) => ({ place, i })).sort((a, b) => a.place - b.place);
  const moved = [...places];
  let last = Number.NEGATIVE_INFINITY;
  for (const { place, i } of order) {
    last = Math.max(place, last + 16);
    moved[i] = last;
  }
  return moved;
}
