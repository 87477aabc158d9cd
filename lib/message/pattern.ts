/** Whether a key is the one that a pattern names or, for a pattern that ends with `*`, begins with what stands before. */
export function covers(pattern: string, key: string): boolean {
  return pattern.endsWith('*') ? key.startsWith(pattern.slice(0, -1)) : key === pattern;
}

/** Whether a value is a pattern: a key, or the beginning of keys with one `*` at its end. */
export function isPattern(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && !value.slice(0, -1).includes('*');
}
