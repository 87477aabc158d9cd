import { byId, element } from '/public/element.js';

/** Gives an element the colour of a worker. Neighbouring pids differ: the golden angle lies between them. */
export function paint(element, pid) {
  element.style.setProperty('--hue', ((pid * 137.508) % 360).toFixed(0));
}

/** Shows in the status line of a panel which worker its stream is on. */
export function showWorker(stream, panel) {
  stream.on('worker', ({ pid }) => {
    const badge = byId(`${panel}-worker`) ?? addBadge(panel);
    badge.textContent = `worker ${pid}`;
    paint(badge, pid);
  });
}

function addBadge(panel) {
  const badge = element('span', 'badge');
  badge.dataset.testid = `${panel}-worker`;
  document.querySelector(`[data-status="${panel}"] .state`).after(badge);
  return badge;
}
