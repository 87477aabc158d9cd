import assert from 'node:assert/strict';
import type { StreamEvent } from '../../lib/client/parser.mjs';
import { Recent } from '../../lib/client/recent.mjs';

const event = (id: number | string, data = ''): StreamEvent => ({ type: 'message', data, lastEventId: String(id) });

describe('the recent events of the browser client', () => {
  it('are those after a place, which may be that before the first', () => {
    const recent = new Recent('0', ['a']);
    for (const id of [1, 2, 3]) recent.push(event(id));
    for (const [place, ids] of [
      ['0', ['1', '2', '3']],
      ['2', ['3']],
      ['3', []],
    ] as const) {
      const { events, missed, at } = recent.after(place, ['a']);
      assert.deepEqual([events.map(({ lastEventId }) => lastEventId), missed, at], [ids, [], place]);
    }
    assert.deepEqual(recent.after('', ['a']), { at: '3', events: [], missed: [] });
  });

  it('say that all may be missed after a place that nobody knows', () => {
    const recent = new Recent('0', ['a']);
    recent.push(event(1));
    assert.deepEqual(recent.after('x', ['a']), { at: '1', events: [], missed: ['@all', 'a'] });
  });

  it('say which keys were not held all the time since a place', () => {
    const recent = new Recent('0', ['a']);
    recent.push(event(1));
    recent.hold(['a', 'b']);
    recent.push(event(2));
    assert.deepEqual(recent.after('0', ['a', 'b', 'c']).missed, ['b', 'c']);
    assert.deepEqual(recent.after('1', ['a', 'b', 'c']).missed, ['c']);
    recent.hold(['a']);
    recent.hold(['a', 'b']);
    assert.deepEqual(recent.after('1', ['a', 'b']).missed, ['b']);
    assert.deepEqual(recent.copy().after('1', ['a', 'b']).missed, ['b']);
    assert.deepEqual(recent.after('2', ['a', 'b']).missed, []);
  });

  it('are 500, and no more than 256 kB', () => {
    const many = new Recent('0');
    for (let id = 1; id <= 600; id++) many.push(event(id));
    assert.equal(many.after('100').events.length, 500);
    assert.deepEqual(many.after('99').missed, ['@all']);
    const large = new Recent('0');
    for (let id = 1; id <= 4; id++) large.push(event(id, 'x'.repeat(100_000)));
    assert.equal(large.after('2').events.length, 2);
    assert.deepEqual(large.after('1').missed, ['@all']);
    large.push(event(5, 'x'.repeat(300_000)));
    assert.equal(large.cursor, '5');
    assert.deepEqual(large.after('5').missed, []);
  });
});
