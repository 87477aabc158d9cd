import type { Entry } from './entry';

/** Entries by the ids that their publishers gave them. */
export class OwnIds {
  readonly #entries = new Map<string, Entry[]>();

  /** The oldest entry of an id that has one of `keys`. */
  find(id: string, keys: readonly string[]): Entry | undefined {
    return this.#entries.get(id.trim())?.find((entry) => entry.keys.some((key) => keys.includes(key)));
  }

  add(id: string, entry: Entry): void {
    const name = id.trim();
    const entries = this.#entries.get(name);
    if (entries === undefined) this.#entries.set(name, [entry]);
    else entries.push(entry);
  }

  delete(id: string, entry: Entry): void {
    const name = id.trim();
    const entries = this.#entries.get(name);
    if (entries === undefined) return;
    entries.splice(entries.indexOf(entry), 1);
    if (entries.length === 0) this.#entries.delete(name);
  }
}
