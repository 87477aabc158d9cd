import { connect } from '/stream/client.js';
import { attempt } from './attempt.js';
import { byId } from './element.js';
import { post } from './post.js';

const form = byId('form');
let source;

form.addEventListener('submit', (event) => {
  event.preventDefault();
  void act(async () => {
    const { id } = await post('/api/answers', { question: form.elements.question.value });
    // The address names the run: a reload, and a second tab, read the same one.
    history.pushState(undefined, '', `?run=${id}`);
    read(id);
  });
});
byId('stop').addEventListener('click', () => act(() => post(`/api/answers/${runOfPage()}/stop`)));
addEventListener('popstate', () => read(runOfPage()));
read(runOfPage());

/** Reads a run from its start; the client resumes by itself when it is cut off. */
function read(id) {
  source?.close();
  byId('text').textContent = '';
  byId('error').hidden = true;
  show('idle', 'nothing asked yet');
  if (id === null) return;
  let events = 0;
  source = connect('/stream', { keys: [`run:${id}`] });
  show('waiting', 'opening …');
  source.on('sse:hello', () => show('live', 'live'));
  source.on('worker', ({ data }) => {
    const { pid } = JSON.parse(data);
    byId('answer').dataset.worker = pid;
    show('live', `live, from worker ${pid}`);
  });
  source.on('message', ({ data }) => {
    byId('text').append(data);
    byId('events').textContent = `${++events} ${events === 1 ? 'event' : 'events'} since this page was opened`;
  });
  source.on('sse:end', ({ data }) => {
    end('done', JSON.parse(data).reason === 'stopped' ? 'stopped' : 'complete');
  });
  source.on('sse:error', ({ data }) => end('lost', JSON.parse(data).message));
  source.on('gap', () => end('lost', 'no longer kept'));
}

function end(outcome, state) {
  source.close();
  show(outcome, state);
}

function show(outcome, state) {
  byId('answer').dataset.outcome = outcome;
  byId('state').textContent = state;
  byId('stop').disabled = outcome !== 'live';
}

function runOfPage() {
  return new URLSearchParams(location.search).get('run');
}

function act(work) {
  return attempt(byId('error'), work);
}
