import type { SseResponse } from '../connection/wire';

/** Adds a name to a header of an answer that is a list of names, unless it is there. */
export function addTo(response: SseResponse, list: string, name: string): void {
  const given = response.getHeader(list);
  const names = [given ?? []].flat().flatMap((text) =>
    String(text)
      .split(',')
      .map((each) => each.trim()),
  );
  if (names.some((each) => each === '*' || each.toLowerCase() === name.toLowerCase())) return;
  response.setHeader(list, [...names.filter((each) => each !== ''), name].join(', '));
}

/** Whether an `Accept-Encoding` header asks for gzip (RFC 9110, 12.5.3). No header, or `*` alone, does not. */
export function acceptsGzip(header: string | readonly string[] | undefined): boolean {
  const weights = weightsOf(String(header ?? ''));
  return (weights.get('gzip') ?? weights.get('x-gzip') ?? 0) > 0;
}

/** The names in an `Accept` or `Accept-Encoding` header, in lower case, and their weights or NaN (RFC 9110, 12.4.2). */
export function weightsOf(header: string): ReadonlyMap<string, number> {
  const weights = new Map<string, number>();
  for (const range of header.split(',')) {
    const [name = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const weight = parameters.find((parameter) => /^q\s*=/.test(parameter))?.replace(/^q\s*=\s*/, '');
    weights.set(name, weight === undefined ? 1 : Number.parseFloat(weight));
  }
  return weights;
}
