import { attempt } from '/public/attempt.js';
import { append, byId, element } from '/public/element.js';
import { post } from '/public/post.js';
import { Status } from '/public/status.js';
import { showWorker } from './badge.js';
import { Stream } from './stream.js';
import { Workers } from './workers.js';

const KEPT = 500;

/** One of the hosts: its workers, the stream that this page has there, and what came on it. */
export class Host {
  #name;
  #origin;
  #room;
  #proof;
  #stream;
  #away;
  #ids = new Map();

  constructor({ name, port }, room, proof) {
    this.#name = name;
    this.#origin = `${location.protocol}//${location.hostname}:${port}`;
    this.#room = room;
    this.#proof = proof;
    this.#stream = new Stream([`room:${room}`, 'cluster'], { url: `${this.#origin}/stream` });
    this.#build(port);
    new Status(this.#id).follow(this.#stream, ['said']);
    showWorker(this.#stream, this.#id);
    new Workers(this.#stream, {
      list: this.#part('pids'),
      kill: this.#part('kill'),
      error: this.#part('error'),
      origin: this.#origin,
      here: 'has this stream',
    });
    this.#listen();
    this.#stream.open();
  }

  /** Sends a message from this host. */
  async send() {
    const settle = this.#proof.sending();
    const message = { name: this.#name, text: String(this.#proof.nextNumber()) };
    let id;
    await attempt(this.#part('error'), async () => {
      ({ id } = await post(`${this.#origin}/api/rooms/${this.#room}/messages`, message));
    });
    settle(id);
  }

  get #id() {
    return `host-${this.#name.toLowerCase()}`;
  }

  #part(name) {
    return byId(`${this.#id}-${name}`);
  }

  #build(port) {
    const panel = document.querySelector('#host').content.cloneNode(true).firstElementChild;
    panel.dataset.testid = this.#id;
    for (const part of panel.querySelectorAll('[data-part]')) part.dataset.testid = `${this.#id}-${part.dataset.part}`;
    panel.querySelector('.status').dataset.status = this.#id;
    document.querySelector('main').append(panel);
    this.#part('name').textContent = `Host ${this.#name}`;
    this.#part('port').textContent = `port ${port}`;
    this.#part('send').textContent = `Send from host ${this.#name}`;
    this.#part('send').addEventListener('click', () => this.send());
    this.#part('cut').addEventListener('click', () => this.#cut());
  }

  #listen() {
    const stream = this.#stream;
    stream.onState((state) => {
      if (state === 'waiting' || state === 'closed') this.#leave();
    });
    stream.on('sse:hello', () => this.#return());
    stream.on('said', (message, { lastEventId }) => this.#receive(message, lastEventId));
    stream.on('sse:gap', ({ reason, keys }) => {
      if (!keys.includes(`room:${this.#room}`)) return;
      this.#append(element('li', 'gap', `The server says that messages are lost: ${reason}`));
      this.#proof.tellGap(this.#name);
    });
  }

  #receive({ name, text }, id) {
    this.#proof.receive(this.#name, id);
    const from = element('span', 'from', `from host ${name}`);
    const row = element('li', 'arrival', element('b', '', text), from);
    // A request whose connection breaks with its worker, browsers send again: to the server, another message.
    const first = this.#ids.get(text) ?? id;
    if (first !== id) row.append(element('small', '', 'the browser sent it again'));
    this.#ids.set(text, first);
    row.dataset.testid = 'arrival';
    row.dataset.from = name;
    this.#append(row);
  }

  #leave() {
    const { pid, state } = this.#stream;
    if (pid === undefined || this.#away !== undefined) return;
    this.#away = { pid, at: performance.now(), cut: state === 'closed' };
    this.#proof.setAway(this.#name, true);
    const why = this.#away.cut ? 'You cut the stream.' : `Worker ${pid} is gone. The browser reconnects by itself.`;
    this.#append(element('li', 'note', why));
  }

  /** The page knows what this stream has missed: it came on the other one, or the server has said so. */
  #return() {
    if (this.#away === undefined) return;
    const seconds = ((performance.now() - this.#away.at) / 1_000).toFixed(1);
    const missed = this.#proof.outstanding(this.#name).length;
    this.#away = undefined;
    this.#proof.setAway(this.#name, false);
    const what = ['It missed nothing.', 'It missed 1 message; here it is:'][missed] ?? `It missed ${missed} messages; here they are:`;
    const note = element('li', 'note', `Back after ${seconds} s. ${what}`);
    note.dataset.testid = `${this.#id}-back`;
    this.#append(note);
  }

  #cut() {
    const cut = this.#part('cut');
    const isCut = cut.ariaPressed !== 'true';
    cut.ariaPressed = String(isCut);
    cut.textContent = isCut ? 'Connect again' : 'Cut stream';
    if (isCut) this.#stream.cut();
    else this.#stream.open();
  }

  #append(row) {
    append(this.#part('arrivals'), row, KEPT);
  }
}
