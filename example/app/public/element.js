/** The element with a test id. */
export function byId(id) {
  return document.querySelector(`[data-testid="${id}"]`);
}

/** A new element with a class and a text. Texts of users are never HTML. */
export function element(tag, className, ...content) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...content);
  return made;
}

/** The time of day of a moment, in ms since 1970, as the reader writes it. */
export function timeOf(at) {
  return element('time', '', new Date(at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }));
}

/** Puts an item at the end of a list, in sight; of the oldest ones, those beyond `most` go. */
export function append(list, item, most) {
  list.append(item);
  while (list.children.length > most) list.firstChild.remove();
  list.scrollTop = list.scrollHeight;
}

/** Puts an item at the head of a list; of the oldest ones, those beyond `most` go. */
export function prepend(list, item, most) {
  list.prepend(item);
  while (list.children.length > most) list.lastChild.remove();
}
