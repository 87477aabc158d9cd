import type { SseResponse } from './connection';

/** Says that an answer depends on a field of its request (RFC 9110, 12.5.5), besides what it says already. */
export function addVary(response: SseResponse, name: string): void {
  const given = response.getHeader('Vary');
  const names = [given ?? []].flat().flatMap((text) =>
    String(text)
      .split(',')
      .map((each) => each.trim()),
  );
  if (names.some((each) => each === '*' || each.toLowerCase() === name.toLowerCase())) return;
  response.setHeader('Vary', [...names.filter((each) => each !== ''), name].join(', '));
}
