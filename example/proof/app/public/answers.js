import { attempt } from '/public/attempt.js';
import { byId, element } from '/public/element.js';
import { post } from '/public/post.js';

// The proof of the page of answers: a button that kills the worker of an answer.

const answer = byId('answer');
const kill = element('button', 'button danger', 'Kill its worker');
kill.type = 'button';
kill.dataset.testid = 'kill';
kill.addEventListener('click', () =>
  attempt(byId('error'), () => post('/api/workers/kill', { pid: Number(answer.dataset.worker) })),
);
byId('stop').after(kill);

const show = () => {
  kill.disabled = answer.dataset.outcome !== 'live' || answer.dataset.worker === undefined;
};
new MutationObserver(show).observe(answer, { attributeFilter: ['data-outcome', 'data-worker'] });
show();
