/** The key that a page makes up for one of its streams, so that it can be spoken to alone. */
export function privateKeyOf(keys: readonly string[]): string | undefined {
  return keys.find(isPrivate);
}

export function isPrivate(key: string): boolean {
  return key.startsWith('stream:');
}
