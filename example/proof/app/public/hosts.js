import { byId } from '/public/element.js';
import { Host } from './host.js';
import { Proof } from './proof.js';

const AT_ONCE = 10;

// A room of this page alone, so that all that is sent to it is counted.
const room = `hosts-${Math.random().toString(36).slice(2, 12)}`;
const { hosts: places } = await (await fetch('/api/hosts')).json();
const proof = new Proof(places.map(({ name }) => name));
const hosts = places.map((place) => new Host(place, room, proof));

const both = byId('send-both');
both.disabled = false;
both.addEventListener('click', () => {
  for (let time = 0; time < AT_ONCE; time++) for (const host of hosts) void host.send();
});
