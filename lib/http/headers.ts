import type { SseResponse } from '../connection/wire';

/** Adds a name to a header of an answer that is a list of names, besides what it says already. */
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
