import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fc from 'fast-check';
import type { Connection } from '../../lib/connection/connection';
import { Alarm } from '../../lib/pump/alarm';
import { HandClock } from '../support/hand_clock';

/** So many, of different keys: no two are alike. */
function connections(count: number): Connection[] {
  return Array.from({ length: count }, (_, i) => ({ asked: [String(i)] }) as unknown as Connection);
}

describe('Alarm', () => {
  describe('by a clock that the test drives', () => {
    const clock = HandClock.forEach();

    /** An alarm, and for whom it has rung, in order. */
    function makeAlarm(): { alarm: Alarm; rung: Connection[] } {
      const rung: Connection[] = [];
      return { alarm: new Alarm((connection) => rung.push(connection)), rung };
    }

    it('rings for each when its time has come, once', () => {
      const { alarm, rung } = makeAlarm();
      const [a, b, c] = connections(3) as [Connection, Connection, Connection];
      alarm.set(b, 20);
      alarm.set(a, 10);
      alarm.set(c, 30);
      clock.advance(9);
      assert.deepEqual(rung, []);
      clock.advance(1);
      assert.deepEqual(rung, [a]);
      clock.advance(10);
      assert.deepEqual(rung, [a, b]);
      clock.advance(1_000);
      assert.deepEqual(rung, [a, b, c]);
    });

    it('rings for nobody before its time though its timer is early', () => {
      const { alarm, rung } = makeAlarm();
      const [a] = connections(1) as [Connection];
      clock.now = 0.9;
      alarm.set(a, 10.5);
      clock.now = 10.4;
      clock.ringEarly();
      assert.deepEqual(rung, []);
      clock.advance(1);
      assert.deepEqual(rung, [a]);
    });

    it('goes by the time that it was told last', () => {
      const { alarm, rung } = makeAlarm();
      const [sooner, later] = connections(2) as [Connection, Connection];
      alarm.set(sooner, 50);
      alarm.set(later, 10);
      alarm.set(sooner, 20);
      alarm.set(later, 60);
      clock.advance(20);
      assert.deepEqual(rung, [sooner]);
      clock.advance(39);
      assert.deepEqual(rung, [sooner]);
      clock.advance(1);
      assert.deepEqual(rung, [sooner, later]);
    });

    it('rings no more for those that it has let go of, also when another rings at the same time', () => {
      const rung: Connection[] = [];
      const [first, second, third] = connections(3) as [Connection, Connection, Connection];
      const alarm = new Alarm((connection) => {
        rung.push(connection);
        alarm.delete(second);
      });
      for (const connection of [first, second, third]) alarm.set(connection, 10);
      alarm.delete(third);
      clock.advance(1_000);
      assert.deepEqual(rung, [first]);
    });

    it('rings again for one that is set anew as it rings', () => {
      const at: number[] = [];
      const [connection] = connections(1) as [Connection];
      const alarm = new Alarm(() => {
        at.push(clock.now);
        if (at.length < 3) alarm.set(connection, clock.now + 10);
      });
      alarm.set(connection, 10);
      clock.advance(1_000);
      assert.deepEqual(at, [10, 20, 30]);
    });

    it('rings for those that come when nobody has waited for a while', () => {
      const { alarm, rung } = makeAlarm();
      const [early, late] = connections(2) as [Connection, Connection];
      alarm.set(early, 10);
      clock.advance(100);
      alarm.set(late, 110);
      clock.advance(10);
      assert.deepEqual(rung, [early, late]);
    });

    it('has one timer for all, and none when nobody waits', () => {
      const { alarm, rung } = makeAlarm();
      const all = connections(1_000);
      for (const [i, connection] of all.entries()) alarm.set(connection, 110 - ((i * 7) % 100));
      assert.equal(clock.waiting, 1);
      while (rung.length < all.length) {
        assert.equal(clock.waiting, 1);
        clock.advance(1);
      }
      assert.equal(clock.waiting, 0);
    });

    it('keeps no process alive by its timers', () => {
      const { alarm, rung } = makeAlarm();
      for (const [i, connection] of connections(2).entries()) alarm.set(connection, 10 + i);
      assert.equal(clock.holding, 0);
      clock.advance(10);
      assert.deepEqual([rung.length, clock.waiting, clock.holding], [1, 1, 0]);
    });

    it('looks through many who wait at a bounded rate, and leaves nobody waiting for longer than that takes', () => {
      const count = 50_000;
      const perMs = 500;
      const lateness: number[] = [];
      const dueAt = new Map(connections(count).map((connection, i) => [connection, 1 + (i % 10_000)]));
      const alarm = new Alarm((connection) => lateness.push(clock.now - dueAt.get(connection)!));
      for (const [connection, at] of dueAt) alarm.set(connection, at);
      let looked = 0;
      for (let last = 0; lateness.length < count; last = clock.rung) {
        const waiting = count - lateness.length;
        clock.advance(1);
        looked += (clock.rung - last) * waiting;
        assert.ok(looked <= count + clock.now * perMs, `${looked} looked through in ${clock.now} ms`);
      }
      assert.ok(Math.max(...lateness) <= count / perMs + 1);
    });

    it('looks through them no more often when others are set meanwhile, which it rings for a little late', () => {
      const [count, extra, perMs] = [25_000, 500, 500];
      const { alarm, rung } = makeAlarm();
      const [first, ...rest] = connections(count + extra);
      for (const connection of [first!, ...rest.splice(0, count - 1)]) alarm.set(connection, 1e6);
      for (const connection of rest) {
        alarm.set(connection, clock.now + 1);
        clock.advance(1);
      }
      assert.ok(clock.rung * count <= clock.now * perMs + 2 * count, `${clock.rung} looks in ${clock.now} ms`);
      clock.advance((count + extra) / perMs + 1);
      assert.deepEqual(rung, rest);
    });

    it('is never early and hardly late, whatever is set, set anew and let go of (fuzzed)', () => {
      const step = fc.oneof(
        fc.record({ set: fc.nat(9), in: fc.double({ min: -5, max: 50, noNaN: true }) }),
        fc.record({ delete: fc.nat(9) }),
        fc.record({ advance: fc.double({ min: 0, max: 20, noNaN: true }) }),
      );
      fc.assert(
        fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
          clock.start();
          const all = connections(10);
          const dueAt = new Map<Connection, number>();
          const alarm = new Alarm((connection) => {
            const at = dueAt.get(connection);
            assert.ok(at !== undefined, 'it rang for one that does not wait');
            assert.ok(clock.now >= at, 'it was early');
            dueAt.delete(connection);
          });
          for (const each of steps) {
            if ('set' in each) {
              dueAt.set(all[each.set]!, clock.now + each.in);
              alarm.set(all[each.set]!, clock.now + each.in);
            } else if ('delete' in each) {
              dueAt.delete(all[each.delete]!);
              alarm.delete(all[each.delete]!);
            } else {
              const before = clock.now;
              clock.advance(each.advance);
              // Timers count in whole ms.
              for (const at of dueAt.values()) assert.ok(Math.max(at, before) > clock.now - 2, 'it was late');
            }
          }
          clock.advance(100);
          assert.equal(dueAt.size, 0);
        }),
      );
    });
  });

  it('is never early by the clock of the machine', async () => {
    const early: number[] = [];
    const dueAt = new Map(connections(100).map((connection) => [connection, performance.now() + 50 * Math.random()]));
    await new Promise<void>((resolve) => {
      const alarm = new Alarm((connection) => {
        if (performance.now() < dueAt.get(connection)!) early.push(performance.now());
        dueAt.delete(connection);
        if (dueAt.size === 0) resolve();
      });
      for (const [connection, at] of dueAt) alarm.set(connection, at);
      // Its own timer keeps nothing alive.
      const alive = setInterval(() => dueAt.size === 0 && clearInterval(alive), 10);
    });
    assert.deepEqual(early, []);
  });

  it('lets a process end while somebody waits', async () => {
    const program = `
      const { Alarm } = require(${JSON.stringify(require.resolve('../../lib/pump/alarm.ts'))});
      new Alarm(() => process.exit(1)).set({}, performance.now() + 3_600_000);
      console.log('waits');`;
    const child = spawn(process.execPath, ['--require', 'tsx/cjs', '-e', program], {
      env: { ...process.env, NODE_OPTIONS: '' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number];
    assert.deepEqual([said.trim(), code], ['waits', 0]);
  });
});
