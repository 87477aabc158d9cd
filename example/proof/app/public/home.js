import { byId } from '/public/element.js';
import { showWorker } from './badge.js';
import { Returns } from './returns.js';
import { pause, resume, watchStreams } from './stream.js';
import { Wire } from './wire.js';
import { Workers } from './workers.js';

// The proof of the first page: which workers there are, what streams missed, and all that comes on them.

const wire = new Wire();
const returns = new Returns();

watchStreams((stream, [key]) => {
  if (key.startsWith('job:')) watchJob(stream);
  else watchPage(stream);
});

function watchPage(stream) {
  wire.watch(stream, ['tick', 'said', 'note', 'workers', 'clients', 'worker', 'ledger']);
  returns.watch(stream, 'Page', ['tick', 'said', 'workers']);
  for (const panel of ['ticker', 'room']) showWorker(stream, panel);
  new Workers(stream, { list: byId('pids'), kill: byId('kill'), error: byId('kill-error'), here: 'this page' });
  stream.on('clients', ({ clients, complete }) => {
    const counted = `${clients} ${clients === 1 ? 'stream' : 'streams'}`;
    byId('clients').textContent = `${complete ? '' : 'At least '}${counted} open over all workers`;
  });
}

function watchJob(stream) {
  wire.watch(stream, ['queued', 'progress', 'done', 'worker', 'ledger']);
  returns.watch(stream, 'Job', ['queued', 'progress', 'done', 'workers']);
  showWorker(stream, 'job');
}

const button = byId('pause');
button.addEventListener('click', () => {
  const isPaused = button.ariaPressed !== 'true';
  button.ariaPressed = String(isPaused);
  button.textContent = isPaused ? 'Catch up' : 'Pause streams';
  if (isPaused) pause();
  else resume();
});
