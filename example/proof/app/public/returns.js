import { byId, element, prepend } from '/public/element.js';

const KEPT = 20;

/**
 * Says, each time a stream comes back, what it missed meanwhile, and proves it.
 *
 * The server's agent counts every message of every key, and sends each stream that opens the count of its keys. The count
 * has a place in the order of the messages: between two of them, exactly their difference must have come, each id once.
 */
export class Returns {
  #list = byId('reports');

  /** Watches a stream: `events` are the names of all that its keys can bring. */
  watch(stream, name, events) {
    new Account(stream, events, (report) => this.#show(name, report));
  }

  #show(name, { outcome, what, verdict, kinds }) {
    const report = element(
      'li',
      '',
      element('time', '', new Date().toLocaleTimeString('en-GB')),
      element('p', '', element('b', '', `${name}:`), ` ${what} `, element('strong', '', verdict)),
      element('small', '', kinds),
    );
    Object.assign(report.dataset, { testid: 'report', stream: name, outcome });
    prepend(this.#list, report, KEPT);
  }
}

/** An account of a stream: what it received since the agent's last count, and what of it came from history. */
class Account {
  #stream;
  #report;
  #last;
  #ids = new Set();
  #twice = 0;
  #begun = 0;
  /** The time that it is away, from when it was lost or closed until it is accounted for. */
  #away;

  constructor(stream, events, report) {
    this.#stream = stream;
    this.#report = report;
    stream.onState((state) => this.#leave(state));
    stream.on('sse:hello', () => this.#return());
    for (const event of events) stream.on(event, (_data, { lastEventId }) => this.#count(event, lastEventId));
    // `worker` comes as the stream opens: what came since the hello was missed, what follows is live.
    stream.on('worker', () => {
      if (this.#away !== undefined) this.#away.catchingUp = false;
    });
    stream.on('ledger', (ledger) => this.#balance(ledger));
  }

  #leave(state) {
    const pid = this.#stream.pid;
    if (pid === undefined || this.#away !== undefined || state === 'open') return;
    this.#away = { pid, at: performance.now(), paused: state === 'closed', missed: new Map(), catchingUp: false };
  }

  #return() {
    if (this.#begun !== this.#stream.begun) {
      // Messages from before were not promised to it.
      this.#begun = this.#stream.begun;
      this.#last = undefined;
      this.#away = undefined;
      this.#ids.clear();
      this.#twice = 0;
    }
    if (this.#away === undefined) return;
    this.#away.backAt = performance.now();
    this.#away.catchingUp = true;
  }

  #count(event, id) {
    if (this.#ids.has(id)) {
      this.#twice++;
      return;
    }
    this.#ids.add(id);
    if (this.#away?.catchingUp) this.#away.missed.set(event, (this.#away.missed.get(event) ?? 0) + 1);
  }

  #balance({ ledger, published, pids }) {
    if (this.#away?.backAt !== undefined) {
      // A count from an earlier opening comes with the history; the count for this opening follows.
      if (this.#away.catchingUp && this.#last !== undefined) return;
      const missing = this.#last?.ledger === ledger ? published - this.#last.published - this.#ids.size : undefined;
      const died = !pids.includes(this.#away.pid);
      if (!this.#away.catchingUp) {
        this.#report(describe({ ...this.#away, died, missing, twice: this.#twice, now: this.#stream.pid }));
        this.#away = undefined;
      }
    }
    this.#last = { ledger, published };
    this.#ids.clear();
    this.#twice = 0;
  }
}

function describe({ pid, at, backAt, paused, died, now, missed, missing, twice }) {
  const left = died ? `worker ${pid} died` : paused ? `paused on worker ${pid}` : `worker ${pid} ended the stream`;
  const what = `${left} · back on worker ${now} after ${((backAt - at) / 1_000).toFixed(1)} s`;

  const delivered = [...missed.values()].reduce((sum, count) => sum + count, 0);
  const kinds = [...missed].map(([event, count]) => `${count} × ${event}`).join(', ');
  if (missing === undefined) {
    const verdict = `${delivered} delivered; how many are missing nobody can say: the count was begun anew`;
    return { outcome: 'unknown', what, verdict, kinds };
  }
  const outcome = missing === 0 && twice === 0 ? 'whole' : 'broken';
  const count = delivered + missing;
  const messages = `${count === 0 ? 'no' : count} ${count === 1 ? 'message' : 'messages'} missed meanwhile`;
  const came = count === 0 ? '' : `, ${missing === 0 && count > 1 ? 'all ' : ''}${delivered} delivered`;
  const doubled = twice === 0 ? '' : `, ${twice} came twice`;
  return { outcome, what, verdict: `${messages}${came}, ${missing} missing${doubled}`, kinds };
}
