import assert from 'node:assert/strict';
import { reachOf } from '../../lib/message/reach';

describe('reachOf', () => {
  it('takes a message of an HTTP request everywhere', () => {
    assert.equal(reachOf({ kind: 'request' }), 'everywhere');
  });
  it("takes a message of one worker's schedule, or of the agent, to every worker of the host", () => {
    assert.equal(reachOf({ kind: 'schedule', type: 'worker' }), 'host');
    assert.equal(reachOf({ kind: 'agent' }), 'host');
  });
  it('keeps a message of what runs in every worker in its process', () => {
    assert.equal(reachOf({ kind: 'schedule', type: 'all' }), 'process');
    assert.equal(reachOf({ kind: 'worker' }), 'process');
  });
  it('does not guess for a custom type of schedule', () => {
    assert.equal(reachOf({ kind: 'schedule', type: 'cluster' }), undefined);
  });
});
