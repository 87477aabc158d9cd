import { byId } from './element.js';

const KEPT = 60;

/** A price and its last minute. The stream says what is new; where it starts is asked for. */
export class Ticker {
  #values = new Map();
  #shown;

  constructor(stream) {
    stream.on('tick', (tick) => this.#add([tick]));
    stream.on('sse:hello', () => {
      if (this.#values.size === 0) return this.#load();
    });
    // The ticks that were missed will not come any more: the last minute is asked for again.
    stream.on('sse:gap', ({ keys }) => {
      if (keys.includes('ticker')) return this.#load();
    });
  }

  async #load() {
    const response = await fetch('/api/ticker').catch(() => undefined);
    if (response?.ok) this.#add((await response.json()).ticks);
  }

  #add(ticks) {
    for (const { at, value } of ticks) this.#values.set(at, value);
    const newest = Math.max(...this.#values.keys());
    for (const at of this.#values.keys()) if (at <= newest - KEPT * 1_000) this.#values.delete(at);
    this.#show(newest);
  }

  #show(newest) {
    const value = this.#values.get(newest);
    const points = [...this.#values].sort(([one], [other]) => one - other);
    const change = value - points[0][1];

    const output = byId('ticker-value');
    output.textContent = value.toFixed(2);
    output.dataset.at = newest;
    if (this.#shown !== undefined && this.#shown !== value) {
      output.animate([{ color: `var(--${value > this.#shown ? 'up' : 'down'})` }, {}], { duration: 700, easing: 'ease-out' });
    }
    this.#shown = value;
    byId('ticker-change').textContent = `${change < 0 ? '▼' : '▲'} ${Math.abs(change).toFixed(2)} in a minute`;
    byId('ticker-change').dataset.trend = change < 0 ? 'down' : 'up';
    draw(points, newest);
  }
}

function draw(points, newest) {
  const values = points.map(([, value]) => value);
  const low = Math.min(...values);
  const range = Math.max(...values) - low || 1;
  const dots = points.map(([at, value]) => {
    const x = 100 - ((newest - at) / ((KEPT - 1) * 1_000)) * 100;
    const y = 88 - ((value - low) / range) * 76;
    return [x.toFixed(2), y.toFixed(2)];
  });
  const line = dots.map(([x, y]) => `${x},${y}`).join('L');
  const chart = byId('ticker-chart');
  chart.querySelector('.line').setAttribute('d', `M${line}`);
  chart.querySelector('.area').setAttribute('d', `M${dots[0][0]},100L${line}L100,100Z`);
  document.querySelector('.chart .now').style.top = `${dots.at(-1)[1]}%`;
}
