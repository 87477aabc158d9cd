import assert from 'node:assert/strict';
import { backoff, deadAfter, judge, retryAfter } from '../../lib/client/policy.mjs';

describe('the policy of the browser client', () => {
  it('reads a stream, comes back after what passes, and never after what is meant for good', () => {
    for (const type of ['text/event-stream', 'text/event-stream; charset=utf-8', 'Text/Event-Stream;x']) {
      assert.equal(judge(200, type), 'open');
    }
    for (const type of ['text/html', null, 'application/json']) assert.equal(judge(200, type), 'closed');
    for (const status of [500, 502, 503, 504, 408, 429]) assert.equal(judge(status, null), 'waiting');
    for (const status of [204, 400, 401, 403, 404, 410]) assert.equal(judge(status, 'text/event-stream'), 'closed');
  });

  it('waits longer after each failure, at random, and never longer than 30 s', () => {
    for (const failures of [0, 1, 5, 20, 1_000_000]) {
      const longest = Math.min(30_000, 2_000 * 1.5 ** failures);
      assert.equal(backoff(failures, 2_000, 0), 0);
      assert.equal(backoff(failures, 2_000, 1), longest);
      assert.equal(backoff(failures, 2_000, 0.5), longest / 2);
    }
    assert.ok(backoff(3, 0, 1) > 0, 'a retry of 0 is no hot loop');
  });

  it('reads Retry-After in seconds and as a date', () => {
    const now = Date.parse('2026-01-01T00:00:00Z');
    assert.equal(retryAfter('3', now), 3_000);
    assert.equal(retryAfter('Thu, 01 Jan 2026 00:01:00 GMT', now), 60_000);
    for (const value of [null, '', 'soon', '-1', '0', 'Wed, 31 Dec 2025 00:00:00 GMT']) {
      assert.equal(retryAfter(value, now), undefined);
    }
    assert.equal(retryAfter('99999999999', now), 86_400_000);
  });

  it('takes a line for dead after two and a half pings, and after no less than 3 s', () => {
    assert.equal(deadAfter(10_000), 25_000);
    assert.equal(deadAfter(100), 3_000);
    assert.equal(deadAfter(0), undefined);
    assert.equal(deadAfter(undefined), undefined);
  });
});
