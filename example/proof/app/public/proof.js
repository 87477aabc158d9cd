import { byId } from '/public/element.js';

/**
 * Compares what came on the streams with what was sent.
 *
 * A message is known by its id once the server has acknowledged it, or once it came on some stream. It is missing on a stream
 * when that has brought a later one without it; until then it is on its way.
 */
export class Proof {
  #streams;
  #known = new Set();
  #number = 0;
  #sending = 0;

  constructor(names) {
    this.#streams = names.map((name) => ({ name, order: [], places: new Map(), twice: 0, away: false, gap: false }));
    this.#show();
  }

  nextNumber() {
    return ++this.#number;
  }

  /** Says that a message is being sent; what it returns takes its id, or nothing if the server did not acknowledge it. */
  sending() {
    this.#sending++;
    this.#show();
    return (id) => {
      this.#sending--;
      if (id !== undefined) this.#known.add(id);
      this.#show();
    };
  }

  receive(name, id) {
    const stream = this.#of(name);
    this.#known.add(id);
    if (stream.places.has(id)) stream.twice++;
    else stream.places.set(id, stream.order.push(id));
    this.#show();
  }

  setAway(name, away) {
    this.#of(name).away = away;
    this.#show();
  }

  tellGap(name) {
    this.#of(name).gap = true;
    this.#show();
  }

  /** The ids of what is known and did not come on a stream. */
  outstanding(name) {
    const { places } = this.#of(name);
    return [...this.#known].filter((id) => !places.has(id));
  }

  #of(name) {
    return this.#streams.find((stream) => stream.name === name);
  }

  #missing({ places }) {
    const missing = new Set();
    for (const other of this.#streams) {
      let passed = false;
      for (const id of other.order.toReversed()) {
        if (places.has(id)) passed = true;
        else if (passed) missing.add(id);
      }
    }
    return missing.size;
  }

  /** Whether the messages that came on both streams came in the same order. */
  #inOrder() {
    const [one, ...others] = this.#streams;
    return others.every(({ order, places }) => {
      const common = one.order.filter((id) => places.has(id));
      return order.filter((id) => one.places.has(id)).every((id, index) => id === common[index]);
    });
  }

  #show() {
    const sum = (count) => this.#streams.reduce((total, stream) => total + count(stream), 0);
    const sent = this.#known.size;
    const missing = sum((stream) => this.#missing(stream));
    const twice = sum((stream) => stream.twice);
    byId('sent').textContent = sent;
    for (const { name, order } of this.#streams) byId(`received-${name.toLowerCase()}`).textContent = order.length;
    byId('missing').textContent = missing;
    byId('twice').textContent = twice;

    const [outcome, text] = this.#judge({ sent, missing, twice });
    byId('proof').dataset.outcome = outcome;
    byId('verdict').textContent = text;
  }

  #judge({ sent, missing, twice }) {
    if (!this.#inOrder()) return ['broken', 'The two streams brought the messages in different orders.'];
    if (missing + twice > 0) return ['broken', `${missing} missing, ${twice} came twice.`];
    const lossy = this.#streams.find(({ gap }) => gap);
    if (lossy !== undefined) return ['unknown', `The server told the stream of host ${lossy.name} that messages are lost.`];
    if (sent + this.#sending === 0) return ['idle', 'Send a message from a host: it should come on both streams.'];
    const behind = this.#streams.filter(({ order }) => order.length < sent);
    const away = behind.find(({ away }) => away);
    if (away !== undefined) {
      const count = sent - away.order.length;
      return ['waiting', `Host ${away.name}’s stream is away: ${count} ${count === 1 ? 'message waits' : 'messages wait'} for it.`];
    }
    if (behind.length + this.#sending > 0) return ['waiting', 'On their way …'];
    if (sent === 1) return ['whole', 'The message came on both streams, once.'];
    return ['whole', `All ${sent} messages came on both streams, each once, in the same order.`];
  }
}
