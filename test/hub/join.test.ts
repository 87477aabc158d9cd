import assert from 'node:assert/strict';
import { EPOCH, InHand, settled, Visitor } from '../support/visitor';

const ONE_EACH = { maxClientsPerUser: 1 };

/** A process whose clients say in their query who they are. */
function withUsers(options: Record<string, unknown>): InHand {
  const process = new InHand(options);
  process.parts.authorizer.use((ctx) => {
    const { url } = ctx as { url: string };
    return { user: new URLSearchParams(url.slice(url.indexOf('?') + 1)).get('who') };
  });
  return process;
}

describe('a client that joins', () => {
  it('is in the turn in which it asks, when there is nothing to wait for', async () => {
    const process = new InHand();
    const visitor = process.visit('connectKey=a');
    assert.equal(process.parts.hub.count('a'), 1);
    await settled();
    assert.deepEqual([visitor.own('hello').length, process.catchingUp, process.asked], [1, 0, []]);
    process.say('a');
    await settled();
    assert.deepEqual(visitor.data, ['1']);
  });

  it('is not let in when it leaves while it waits for what it has heard elsewhere', async () => {
    const process = new InHand();
    const opened: unknown[] = [];
    process.parts.events.on('open', (open) => opened.push(open));
    const visitor = process.visit('connectKey=a', { headers: { 'last-event-id': `${EPOCH}-7` } });
    assert.equal(process.catchingUp, 1);
    visitor.leave();
    await process.caughtUp();
    assert.deepEqual([opened, process.parts.hub.count(), visitor.response.headersSent], [[], 0, false]);
    assert.deepEqual([visitor.response.text, process.refused], ['', []]);
  });

  it('goes on where it was when that has come meanwhile', async () => {
    const process = new InHand();
    const visitor = process.visit('connectKey=a', { headers: { 'last-event-id': `${EPOCH}-2` } });
    for (let i = 0; i < 3; i++) process.say('a');
    await process.caughtUp();
    assert.deepEqual([visitor.data, visitor.own('gap')], [['3'], []]);
  });

  it('takes no seat of its user when it leaves while the others are asked for theirs', async () => {
    const process = withUsers(ONE_EACH);
    const first = process.visit('who=ann');
    await settled();
    assert.equal(process.asked.length, 1);
    first.leave();
    await process.answer();
    assert.deepEqual([process.parts.hub.count(), first.response.headersSent], [0, false]);
    const second = process.visit('who=ann');
    await settled();
    await process.answer();
    assert.equal(second.own('hello').length, 1);
    const third = process.visit('who=ann');
    await settled();
    await process.answer();
    assert.deepEqual([third.own('hello').length, process.refused], [0, ['ERR_SSE_USER_CLIENTS']]);
  });

  it('is refused when the worker has no more room once the others have said how many its user has', async () => {
    const process = withUsers({ ...ONE_EACH, maxClients: 1 });
    const visitors = ['ann', 'bob'].map((who) => process.visit(`who=${who}`));
    await settled();
    assert.equal(process.asked.length, 2);
    await process.answer();
    await process.answer();
    assert.deepEqual(
      visitors.map((visitor) => visitor.own('hello').length),
      [1, 0],
    );
    assert.deepEqual([process.parts.hub.count(), process.refused], [1, ['ERR_SSE_OVERLOAD']]);
  });

  it('is refused when the worker is going by then', async () => {
    const process = withUsers(ONE_EACH);
    const visitor = process.visit('who=ann');
    await settled();
    await process.parts.lifetimes.drain();
    await process.answer();
    assert.deepEqual([visitor.own('hello').length, process.parts.hub.count()], [0, 0]);
    assert.deepEqual(process.refused, ['ERR_SSE_SHUTDOWN']);
  });

  it('gets what comes from now on of a key that is new to it, throttled like its others', async () => {
    const process = new InHand({ throttle: { 'p*': { interval: 60_000, keep: 'latest' } } });
    for (const key of ['a', 'p1', 'p2']) process.say(key);
    const query = 'connectKey=a&connectKey=p1&connectKey=p2&newKey=p2';
    const visitor = process.visit(query, { headers: { 'last-event-id': `${EPOCH}-0` } });
    await settled();
    assert.deepEqual(visitor.data, ['1', '2']);
    for (let i = 0; i < 3; i++) {
      process.say('p2');
      await settled();
    }
    assert.deepEqual(visitor.data, ['1', '2', '4']);
  });

  it('gets the head alone for HEAD, unless it has left by then, and is not counted', async () => {
    const process = new InHand();
    const visitor = process.visit('connectKey=a', { method: 'HEAD' });
    await settled();
    assert.deepEqual([visitor.response.headersSent, visitor.response.text], [true, '']);
    assert.equal(process.parts.hub.count(), 0);
    const gone = process.visit('connectKey=a', { method: 'HEAD', headers: { 'last-event-id': `${EPOCH}-7` } });
    gone.leave();
    await process.caughtUp();
    assert.equal(gone.response.headersSent, false);
  });

  it('leaves nothing behind when it goes', async () => {
    const process = new InHand();
    const closed: unknown[] = [];
    process.parts.events.on('close', ({ reason, keys }) => closed.push([reason, keys]));
    const visitors = Array.from({ length: 3 }, (_, i) => process.visit(`connectKey=a&connectKey=k${i}`));
    await settled();
    assert.equal(process.parts.hub.stats.connections, 3);
    for (const visitor of visitors) visitor.leave();
    await settled();
    assert.deepEqual([process.parts.hub.stats.connections, process.parts.hub.stats.pools], [0, 0]);
    assert.deepEqual(
      closed,
      [0, 1, 2].map((i) => ['client', ['a', `k${i}`]]),
    );
  });

  it('is answered nothing twice when its request was answered before it was let in', async () => {
    const process = new InHand();
    const visitor = new Visitor('connectKey=a', { headers: { 'last-event-id': `${EPOCH}-7` } });
    const served = process.parts.endpoint.serve(visitor.request, visitor.response);
    visitor.response.writeHead(504).end();
    await process.caughtUp();
    await served;
    assert.deepEqual([visitor.response.statusCode, visitor.response.text, process.parts.hub.count()], [504, '', 0]);
  });
});
