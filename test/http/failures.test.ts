import assert from 'node:assert/strict';
import type { Poll } from '../../lib/order/broker';
import { InHand, settled, Visitor } from '../support/visitor';

/** A process that cannot ask the others, until it can. */
class Cut extends InHand {
  isCut = true;

  constructor() {
    super({ maxClientsPerUser: 1 });
    this.parts.authorizer.use(() => ({ user: 'ann' }));
  }

  override async ask(): Promise<Poll> {
    if (this.isCut) throw new Error('the others cannot be asked');
    return { answers: [], complete: true };
  }
}

describe('a request for a stream, when something of ours fails', () => {
  it('rejects for whoever serves it, and keeps no seat of its user', async () => {
    const process = new Cut();
    const { request, response } = new Visitor('connectKey=a');
    await assert.rejects(process.parts.endpoint.serve(request, response), /the others cannot be asked/);
    assert.deepEqual([response.headersSent, process.parts.hub.count()], [false, 0]);
    process.isCut = false;
    const second = process.visit('connectKey=a');
    await settled();
    assert.equal(second.own('hello').length, 1);
  });

  it('is answered 500 when its handler has opened it; why is logged, and not told', async () => {
    const process = new Cut();
    const { request, response } = new Visitor();
    const stream = process.parts.endpoint.open(request, response);
    const sent = stream.send('x');
    await assert.rejects(sent, { code: 'ERR_SSE_FAILED', status: 500 });
    assert.equal(await stream.closed, 'refused');
    assert.equal(response.statusCode, 500);
    assert.deepEqual(JSON.parse(response.text), { code: 'ERR_SSE_FAILED', message: 'the stream could not be opened' });
    assert.deepEqual([process.logged, process.refused], [['Error: a stream could not be opened'], ['ERR_SSE_FAILED']]);
  });

  it('is answered nothing when its client has left before it was refused', async () => {
    const process = new InHand();
    let refuse: (error: Error) => void = () => undefined;
    process.parts.authorizer.use(() => new Promise((_, reject) => (refuse = reject)));
    const visitor = process.visit('connectKey=a');
    await settled();
    visitor.leave();
    refuse(Object.assign(new Error('no'), { status: 403 }));
    await settled();
    assert.deepEqual([visitor.response.headersSent, visitor.response.text, process.refused], [false, '', []]);
  });

  it('rejects what waits for a client that takes nothing when that client leaves', async () => {
    const process = new InHand();
    const { request, response } = new Visitor();
    const stream = process.parts.endpoint.open(request, response);
    await stream.send('x');
    response.isStuck = true;
    const sent = stream.send('y');
    await settled();
    response.destroy();
    await assert.rejects(sent, { code: 'ERR_SSE_CLOSED' });
    await assert.rejects(stream.send('z'), { code: 'ERR_SSE_CLOSED' });
  });

  it('leaves a source alone that fails as it is told to stop', async () => {
    const process = new InHand();
    const { request, response } = new Visitor();
    const stream = process.parts.endpoint.open(request, response);
    let stops = 0;
    const source: AsyncIterable<string> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => undefined),
        return: () => {
          stops++;
          throw new Error('it cannot stop');
        },
      }),
    };
    const piped = stream.pipe(source);
    await settled();
    response.destroy();
    await piped;
    await settled();
    assert.deepEqual([stops, process.logged], [1, []]);
  });
});
