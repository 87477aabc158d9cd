import { attempt } from './attempt.js';
import { append, byId, element, timeOf } from './element.js';
import { post } from './post.js';

const KEPT = 200;
const FIRST = [
  'Amber', 'Brave', 'Brisk', 'Calm', 'Clever', 'Dapper', 'Eager', 'Early', 'Fancy', 'Gentle', 'Golden', 'Happy',
  'Jolly', 'Kind', 'Lively', 'Lucky', 'Mellow', 'Merry', 'Nimble', 'Quiet', 'Silver', 'Sunny', 'Swift', 'Witty',
];
const SECOND = [
  'Crane', 'Dove', 'Duck', 'Falcon', 'Finch', 'Goose', 'Grebe', 'Hen', 'Heron', 'Ibis', 'Jay', 'Kite',
  'Lark', 'Magpie', 'Owl', 'Pigeon', 'Plover', 'Quail', 'Raven', 'Robin', 'Stork', 'Swan', 'Tern', 'Wren',
];

/** A room: what one tab posts, all tabs show. The tab that posted it, too, shows it when it comes from the server. */
export class Room {
  #name;
  #messages = byId('room-messages');
  #form = byId('room-form');
  #error = byId('room-error');

  constructor(stream, name) {
    this.#name = name;
    byId('room-name').textContent = name;
    this.#form.elements.name.value = `${pick(FIRST)} ${pick(SECOND)}`;
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      return this.#send();
    });
    stream.on('said', (message) => this.#show(message));
    stream.on('sse:gap', ({ keys }) => {
      if (keys.includes(`room:${name}`)) this.#append(element('li', 'gap', 'messages may be missing here'));
    });
  }

  async #send() {
    const { name, text } = this.#form.elements;
    const said = text.value;
    if (said.trim() === '') return;
    text.value = '';
    const message = { name: name.value, text: said };
    const isSent = await attempt(this.#error, () => post(`/api/rooms/${this.#name}/messages`, message));
    if (!isSent) text.value ||= said;
  }

  #show({ name, text, at }) {
    const author = element('b', '', name);
    author.style.setProperty('--hue', hueOf(name));
    const message = element('li', 'message', author, timeOf(at), element('p', '', text));
    if (name === this.#form.elements.name.value) message.classList.add('mine');
    message.dataset.testid = 'room-message';
    this.#append(message);
  }

  #append(item) {
    append(this.#messages, item, KEPT);
  }
}

function pick(words) {
  return words[Math.floor(Math.random() * words.length)];
}

function hueOf(name) {
  return [...name].reduce((hue, letter) => (hue * 31 + letter.codePointAt(0)) % 360, 7);
}
