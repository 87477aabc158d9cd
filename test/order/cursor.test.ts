import assert from 'node:assert/strict';
import fc from 'fast-check';
import { newEpoch, parseCursor, toCursor } from '../../lib/order/cursor';

describe('cursor', () => {
  it('reads back every position it writes', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (seq) => {
        const position = { epoch: newEpoch(), seq };
        assert.deepEqual(parseCursor(toCursor(position)), position);
      }),
    );
  });

  it('is short and of characters that cost no CORS preflight', () => {
    assert.match(toCursor({ epoch: newEpoch(), seq: Number.MAX_SAFE_INTEGER }), /^[0-9a-z-]{1,32}$/);
  });

  it('takes nothing else for a position, whatever a client sends', () => {
    const texts = [
      '',
      '-',
      '5',
      'abcdefgh-',
      'abcdefgh--1',
      'abcdefgh-01',
      'abcdefgh-1e3',
      'ABCDEFGH-1',
      ' abcdefgh-1',
      'abcdefgh-1\n',
      'abcdefgh-9999999999999999',
      'abcdefgh-1-',
      'abcdefgh-1-0',
      'abcdefgh-1-2',
      'abcdefgh-1-1-1',
    ];
    for (const text of texts) assert.equal(parseCursor(text), undefined, text);
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const position = parseCursor(text);
        if (position !== undefined) assert.equal(toCursor(position), text);
      }),
    );
  });

  it('names every epoch anew', () => {
    assert.equal(new Set(Array.from({ length: 1_000 }, newEpoch)).size, 1_000);
  });
});
