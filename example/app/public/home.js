import { Job } from './job.js';
import { Logins } from './logins.js';
import { Notices } from './notices.js';
import { Room } from './room.js';
import { Status } from './status.js';
import { Stream } from './stream.js';
import { Ticker } from './ticker.js';

const room = new URLSearchParams(location.search).get('room') ?? 'lobby';

// One stream for the whole page: over HTTP/1.1 a browser opens no more than six to a host. A job adds one while it runs.
const stream = new Stream(['ticker', `room:${room}`, 'cluster']);
const notices = new Notices();

new Ticker(stream);
new Room(stream, room);
new Status('ticker').follow(stream, ['tick']);
new Status('room').follow(stream, ['said']);
new Logins(stream);
new Job(notices);
notices.watch(stream);

stream.open();
