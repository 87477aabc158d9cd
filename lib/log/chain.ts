/** What stands in a chain. */
export interface Link<T> {
  older: T | undefined;
  newer: T | undefined;
}

/** A list that lets go of any of its links in constant time. A link stands in one chain at a time. */
export class Chain<T extends Link<T>> implements Iterable<T> {
  oldest: T | undefined;
  newest: T | undefined;
  length = 0;

  push(link: T): void {
    link.older = this.newest;
    if (this.newest === undefined) this.oldest = link;
    else this.newest.newer = link;
    this.newest = link;
    this.length++;
  }

  remove(link: T): void {
    if (link.older === undefined) this.oldest = link.newer;
    else link.older.newer = link.newer;
    if (link.newer === undefined) this.newest = link.older;
    else link.newer.older = link.older;
    link.older = link.newer = undefined;
    this.length--;
  }

  *[Symbol.iterator](): Generator<T> {
    for (let link = this.oldest; link !== undefined; link = link.newer) yield link;
  }
}
