import { byId, element, prepend } from '/public/element.js';

const KEPT = 100;

/** The events of all streams as they come, the newest first. */
export class Wire {
  #list = byId('wire');

  watch(stream, names) {
    for (const name of [...names, 'sse:hello', 'sse:gap', 'sse:bye', 'sse:busy']) {
      stream.on(name, (_data, event) => this.#show(event));
    }
  }

  #show({ type, data, lastEventId }) {
    const row = element(
      'li',
      type.startsWith('sse:') ? 'own' : '',
      element('time', '', new Date().toLocaleTimeString('en-GB')),
      element('b', '', type),
      element('code', '', data || '(empty)'),
      element('small', '', lastEventId),
    );
    row.dataset.event = type;
    prepend(this.#list, row, KEPT);
  }
}
