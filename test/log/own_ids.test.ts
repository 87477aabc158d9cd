import assert from 'node:assert/strict';
import type { Entry } from '../../lib/log/entry';
import { OwnIds } from '../../lib/log/own_ids';
import { ReadLog } from '../support/read_log';

const EPOCH = 'aaaaaaaa';

function entryOf(...keys: string[]): Entry {
  return { keys } as unknown as Entry;
}

describe('OwnIds', () => {
  it('finds the oldest entry of an id that has one of the keys, without the blanks around it', () => {
    const ids = new OwnIds();
    const entries = [entryOf('a'), entryOf('b'), entryOf('a', 'b')] as const;
    for (const entry of entries) ids.add(' 7', entry);
    assert.equal(ids.find('7', ['a', 'c']), entries[0]);
    assert.equal(ids.find('7 ', ['b']), entries[1]);
    assert.equal(ids.find('7', ['c']), undefined);
    assert.equal(ids.find('8', ['a']), undefined);
  });

  it('forgets an entry, and no other of the same id', () => {
    const ids = new OwnIds();
    const [first, second] = [entryOf('a'), entryOf('a')] as const;
    ids.add('7', first);
    ids.add('7', second);
    ids.delete(' 7 ', first);
    assert.equal(ids.find('7', ['a']), second);
    ids.delete('7', second);
    assert.equal(ids.find('7', ['a']), undefined);
    ids.delete('7', second);
    ids.add('7', first);
    assert.equal(ids.find('7', ['a']), first);
  });

  it('are forgotten by the log with their messages', () => {
    const log = new ReadLog({ age: 1e9, count: 2, bytes: 1e9 });
    for (const id of ['one', 'two', 'three'])
      log.append({ keys: ['a'], body: 'data: x\n', id, position: { epoch: EPOCH, seq: log.head + 1 } });
    assert.notEqual(log.log.ids.find('one', ['a']), undefined);
    log.settle(log.head);
    assert.equal(log.log.ids.find('one', ['a']), undefined);
    assert.deepEqual(log.resume('two', ['a']).gaps, []);
    assert.deepEqual(log.resume('one', ['a']).gaps, [{ reason: 'unknown', keys: ['a'] }]);
  });
});
