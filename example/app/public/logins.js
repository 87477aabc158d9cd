import { attempt } from './attempt.js';
import { append, byId, element, timeOf } from './element.js';
import { post } from './post.js';

const KEPT = 100;
const AUDIENCES = {
  ann: { name: 'Ann', hue: 330 },
  bob: { name: 'Bob', hue: 210 },
  team: { name: 'the team', hue: 150 },
  everyone: { name: 'everyone logged in', hue: 40 },
  guests: { name: 'guests', hue: 270 },
};

/** Logins: who this browser is, notes to people, and the notes that come. The server says whose notes come. */
export class Logins {
  #stream;
  // The tabs of a browser share the session.
  #tabs = new BroadcastChannel('logins');
  #text = byId('note-text');
  #sent = byId('sent');
  #error = byId('logins-error');
  #notes = byId('notes');

  constructor(stream) {
    this.#stream = stream;
    this.#tabs.addEventListener('message', () => this.#reopen());
    for (const name of ['ann', 'bob']) {
      byId(`login-${name}`).addEventListener('click', () => this.#become('/api/login', { name }));
    }
    // The server ends the streams of the other tabs.
    byId('logout').addEventListener('click', () => this.#become('/api/logout'));
    for (const to of Object.keys(AUDIENCES)) {
      const button = byId(`send-${to}`);
      const here = element('span', 'here', '–');
      here.dataset.testid = `here-${to}`;
      button.replaceChildren(AUDIENCES[to].name, here);
      button.addEventListener('click', () => this.#send(to));
    }
    stream.onState((state) => {
      byId('logins').dataset.state = state;
    });
    stream.on('sse:hello', ({ user, groups }) => this.#show(user, groups));
    stream.on('note', (note) => this.#receive(note));
    stream.on('clients', ({ here }) => {
      for (const [to, streams] of Object.entries(here)) byId(`here-${to}`).textContent = streams;
    });
  }

  async #become(url, body) {
    await this.#try(async () => {
      await post(url, body);
      this.#sent.textContent = '';
      this.#reopen();
      if (url === '/api/login') this.#tabs.postMessage('login');
    });
  }

  /** The stream was authorized as who this browser was before. */
  #reopen() {
    this.#stream.beginAnew();
    this.#stream.open();
  }

  async #send(to) {
    const text = this.#text.value.trim();
    if (text === '') {
      this.#text.focus();
      return;
    }
    await this.#try(async () => {
      await post('/api/notes', { to, text });
      this.#sent.textContent = `Sent to ${AUDIENCES[to].name}.`;
    });
  }

  async #try(act) {
    if (!(await attempt(this.#error, act))) this.#sent.textContent = '';
  }

  #show(user, groups = []) {
    const you = byId('you');
    you.textContent =
      user === undefined ? 'You are a guest.' : `You are ${AUDIENCES[user].name}, in the team “${groups.join(', ')}”.`;
    you.dataset.user = user ?? 'guest';
    const [logout, ...logins] = ['logout', 'login-ann', 'login-bob'].map(byId);
    const hadFocus = [logout, ...logins].includes(document.activeElement);
    for (const login of logins) login.hidden = user !== undefined;
    logout.hidden = user === undefined;
    // A button that goes takes the keyboard's place in the page with it.
    if (hadFocus) (user === undefined ? logins[0] : logout).focus();
  }

  #receive({ to, from, text, at }) {
    const { name, hue } = AUDIENCES[to];
    const badge = element('span', 'badge', `to ${name}`);
    badge.style.setProperty('--hue', hue);
    const sender = element('b', '', `from ${from === undefined ? 'a guest' : AUDIENCES[from].name}`);
    const note = element('li', 'note', badge, sender, timeOf(at), element('p', '', text));
    note.dataset.testid = 'note';
    note.dataset.to = to;
    append(this.#notes, note, KEPT);
  }
}
