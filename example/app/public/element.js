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
