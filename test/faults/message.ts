import { makeRandom } from './random';

/** The keys that messages are published to; few, so that every client shares some with others. */
export const KEYS: readonly string[] = Array.from({ length: 20 }, (_, i) => `key${i}`);

/** The key of large messages, for the clients that stop reading. */
export const HEAVY = 'heavy';

/** The publisher of large messages. */
export const HEAVY_PUBLISHER = 100;

const HEAVY_BYTES = 65_536;

/** The n-th message of a publisher: every process that knows the seed knows its key and its text. */
export function messageOf(seed: number, publisher: number, n: number): { text: string; key: string; data: string } {
  const random = makeRandom(seed * 1_000_003 + publisher * 100_003 + n);
  const text = `p${publisher}.${n}`;
  if (publisher === HEAVY_PUBLISHER) return { text, key: HEAVY, data: `${text} ${'x'.repeat(HEAVY_BYTES)}` };
  const key = KEYS[Math.floor(random() * KEYS.length)]!;
  return { text, key, data: `${text} ${'x'.repeat(Math.floor(random() * 400))}` };
}
