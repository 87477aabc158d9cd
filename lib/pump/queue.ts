/** First in, first out, in constant time: `Array.shift` moves everything that waits. */
export class Queue<T> {
  #incoming: T[] = [];
  #outgoing: T[] = [];

  push(item: T): void {
    this.#incoming.push(item);
  }

  shift(): T | undefined {
    if (this.#outgoing.length === 0) {
      this.#outgoing = this.#incoming.reverse();
      this.#incoming = [];
    }
    return this.#outgoing.pop();
  }
}
