import { byId } from './element.js';
import { Job } from './job.js';
import { Logins } from './logins.js';
import { Notices } from './notices.js';
import { Returns } from '/proof/returns.js';
import { Room } from './room.js';
import { Status } from './status.js';
import { Stream } from './stream.js';
import { Ticker } from './ticker.js';
import { Wire } from '/proof/wire.js';
import { Workers } from '/proof/workers.js';

const room = new URLSearchParams(location.search).get('room') ?? 'lobby';

// One stream for the whole page, as a browser opens no more than six to a host over HTTP/1.1. A job adds one while it runs.
const stream = new Stream(['ticker', `room:${room}`, 'cluster']);
const wire = new Wire();
const notices = new Notices();
const returns = new Returns();

new Ticker(stream);
new Room(stream, room);
new Status('ticker').follow(stream, ['tick']);
new Status('room').follow(stream, ['said']);
new Workers(stream, { list: byId('pids'), kill: byId('kill'), error: byId('kill-error'), here: 'this page' });
stream.on('clients', ({ clients, complete }) => {
  const streams = `${clients} ${clients === 1 ? 'stream' : 'streams'}`;
  byId('clients').textContent = `${complete ? '' : 'At least '}${streams} open over all workers`;
});
new Logins(stream, () => {
  stream.beginAnew();
  if (!isPaused()) stream.open();
});
wire.watch(stream, ['tick', 'said', 'note', 'workers', 'clients', 'worker', 'ledger']);
notices.watch(stream);
returns.watch(stream, 'Page', ['tick', 'said', 'workers']);

const job = new Job((jobStream) => {
  wire.watch(jobStream, ['queued', 'progress', 'done', 'worker', 'ledger']);
  notices.watch(jobStream);
  returns.watch(jobStream, 'Job', ['queued', 'progress', 'done', 'workers']);
  if (!isPaused()) jobStream.open();
});

const pause = byId('pause');
pause.addEventListener('click', () => {
  pause.ariaPressed = String(!isPaused());
  pause.textContent = isPaused() ? 'Catch up' : 'Pause streams';
  for (const each of [stream, job.stream]) {
    if (isPaused()) each?.close();
    else each?.open();
  }
});

function isPaused() {
  return pause.ariaPressed === 'true';
}

stream.open();
