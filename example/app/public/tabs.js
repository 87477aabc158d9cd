import { connect } from '/stream/client.js';
import { attempt } from './attempt.js';
import { byId, element, prepend } from './element.js';
import { post } from './post.js';

const KEPT = 100;
const LOOK_MS = 1_000;

// A name for this browser. All of its tabs ask for the key of it, so that the server can say how many connections do.
const browser = (localStorage.browser ??= Math.random().toString(36).slice(2));
const roomOf = (topic) => `room:${topic}-of-tabs`;

const sse = connect('/stream', { keys: [`browser:${browser}`, roomOf('hens')] });
sse.on('said', ({ data }) => show(JSON.parse(data)));
sse.on('gap', ({ reason }) => note('gap', `The server says that something is lost: ${reason}`));
sse.on('state', ({ state }) => {
  byId('state').textContent = state;
});
sse.on('sse:hello', ({ data }) => {
  byId('held').textContent = JSON.parse(data).keys.length;
});
byId('way').textContent =
  'SharedWorker' in window ? 'a SharedWorker holds the connection' : 'one tab holds the connection';

for (const topic of ['hens', 'ducks', 'geese']) {
  const hear = byId(`hear-${topic}`);
  hear.addEventListener('click', () => {
    const hears = hear.ariaPressed !== 'true';
    hear.ariaPressed = String(hears);
    if (hears) sse.add(roomOf(topic));
    else sse.remove(roomOf(topic));
  });
  byId(`say-${topic}`).addEventListener('click', () => say(topic));
}

// A lock that each tab has for as long as it lives: there are as many of its name as tabs.
const LOCK = 'demo tab';
void navigator.locks?.request(LOCK, { mode: 'shared' }, () => new Promise(() => {}));

setInterval(look, LOOK_MS);
void look();

async function look() {
  const { held } = (await navigator.locks?.query()) ?? { held: [] };
  byId('tabs').textContent = held.filter(({ name }) => name === LOCK).length || '–';
  const response = await fetch(`/api/tabs?browser=${browser}`).catch(() => undefined);
  byId('connections').textContent = response?.ok ? (await response.json()).clients : '–';
}

async function say(topic) {
  const word = { name: topic, text: new Date().toLocaleTimeString('en-GB') };
  await attempt(byId('tabs-error'), () => post(`/api/rooms/${topic}-of-tabs/messages`, word));
}

function show({ name, text }) {
  note('word', element('b', '', name), ` ${text}`).dataset.topic = name;
}

function note(className, ...content) {
  const row = element('li', className, ...content);
  row.dataset.testid = className;
  prepend(byId('words'), row, KEPT);
  return row;
}
