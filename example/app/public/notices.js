import { byId, element } from './element.js';

const SHOWN_MS = 20_000;

const GAPS = {
  restarted: 'the server has started anew since then',
  unknown: 'the server does not know that place',
  expired: 'they were too old to be kept',
  evicted: 'there were too many to be kept',
};

const BYES = {
  age: 'the stream had reached its age',
  shutdown: 'the server is going down',
  closed: 'the server closed the stream',
  'logged out': 'you logged out',
};

/** Notices at the top of the page: what happened to its streams, in words. */
export class Notices {
  #list = byId('notices');

  watch(stream) {
    stream.onState((state) => {
      if (state === 'waiting') this.#show('lost', 'Connection lost. The browser is reconnecting …');
      if (state === 'open') this.#clear('lost');
    });
    stream.on('sse:gap', ({ reason, keys }) => {
      this.#show('gap', `Messages of ${keys.filter(isOurs).join(', ')} were missed: ${GAPS[reason] ?? reason}.`);
    });
    stream.on('sse:bye', ({ reason }) => this.#show('bye', `Goodbye: ${BYES[reason] ?? reason}.`));
    stream.on('sse:busy', () => this.#show('bye', 'The server is full; the browser tries again.'));
  }

  #show(kind, text) {
    this.#clear(kind);
    const close = element('button', '', '×');
    close.ariaLabel = 'Close';
    const notice = element('p', `notice ${kind}`, element('span', '', text), close);
    notice.dataset.testid = `notice-${kind}`;
    close.addEventListener('click', () => notice.remove());
    if (kind !== 'lost') setTimeout(() => notice.remove(), SHOWN_MS);
    this.#list.append(notice);
  }

  #clear(kind) {
    byId(`notice-${kind}`)?.remove();
  }
}

/** Whether a page has asked for a key; every stream holds `@all`. */
function isOurs(key) {
  return key !== '@all';
}
