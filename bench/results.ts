/** One measurement of one server. */
export interface Sample {
  readonly work: string;
  readonly server: string;
  readonly figures: Readonly<Record<string, number>>;
  readonly problems: readonly string[];
}

/** What a run of the benchmark found. */
export interface Results {
  readonly date: string;
  readonly machine: string;
  readonly rounds: number;
  readonly isQuick: boolean;
  /** What was not as it should be. */
  readonly notes: readonly string[];
  readonly samples: readonly Sample[];
}

/** The median of a figure over all rounds; undefined when it was not measured. */
export function medianOf(results: Results, work: string, server: string, figure: string): number | undefined {
  const values = results.samples
    .filter((sample) => sample.work === work && sample.server === server)
    .flatMap(({ figures }) => figures[figure] ?? [])
    .sort((a, b) => a - b);
  if (values.length === 0) return undefined;
  const middle = values.length >> 1;
  return values.length % 2 === 1 ? values[middle] : (values[middle - 1]! + values[middle]!) / 2;
}

/** The points of a growing thing, by `x`. */
export function pointsOf(results: Results, work: string, server: string, figure: string): [x: number, y: number][] {
  return results.samples
    .filter((sample) => sample.work === work && sample.server === server)
    .map(({ figures }): [number, number] => [figures.x!, figures[figure]!])
    .sort(([a], [b]) => a - b);
}

/** What was wrong with a work of a server, in any round. */
export function problemsIn(results: Results, work: string, server: string): string[] {
  return [
    ...new Set(
      results.samples
        .filter((sample) => sample.work === work && sample.server === server)
        .flatMap(({ problems }) => problems),
    ),
  ];
}
