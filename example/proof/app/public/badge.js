/** Gives an element the colour of a worker. Neighbouring pids differ: the golden angle lies between them. */
export function paint(element, pid) {
  element.style.setProperty('--hue', ((pid * 137.508) % 360).toFixed(0));
}
