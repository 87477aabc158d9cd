import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { Offer, ToArbiter, ToLeases } from '../../../lib/bridge/schedule/lease';
import { Arbiter } from '../../../lib/bridge/schedule/arbiter';
import { WorkerLease } from '../../../lib/bridge/schedule/worker_lease';
import { openChannel } from '../../../lib/base/channel';
import { SseError } from '../../../lib/base/error';
import { eventually } from '../../support/eventually';

const OFFER: Offer = { name: 'x', run: 1, digest: '', target: { key: 'a' }, data: '' };

describe('a worker of a host that shares its schedules', () => {
  /** A worker and its agent, which answers with what the test says. */
  function start() {
    const [toAgent, toWorker] = [new EventEmitter(), new EventEmitter()];
    const asked: string[] = [];
    const lease = {
      begin: async (): Promise<number | undefined> => 7,
      publish: async (): Promise<void> => undefined,
    };
    const startAgent = (): void =>
      new Arbiter(
        openChannel<ToLeases, ToArbiter>(toAgent, (name, data) => toWorker.emit(name, data)),
        {
          start: () => undefined,
          stop: async () => undefined,
          begin(name) {
            asked.push(`begin ${name}`);
            return lease.begin();
          },
          publish({ name }) {
            asked.push(`publish ${name}`);
            return lease.publish();
          },
        },
      ).start();
    const channel = openChannel<ToArbiter, ToLeases>(toWorker, (name, data) => toAgent.emit(name, data));
    const worker = new WorkerLease(channel, { isShared: true, again: 5 });
    worker.start();
    return { worker, lease, asked, startAgent, killAgent: () => toAgent.removeAllListeners() };
  }

  it('begins a run when its agent says so, and none when that is another one', async () => {
    const { worker, lease, startAgent } = start();
    startAgent();
    assert.equal(await worker.begin('x'), 7);
    lease.begin = async () => undefined;
    assert.equal(await worker.begin('x'), undefined);
    await worker.publish(OFFER);
  });

  it('hears why its agent could not publish a result', async () => {
    const { worker, lease, startAgent } = start();
    startAgent();
    lease.publish = async () => {
      throw new SseError('ERR_SSE_UNAVAILABLE', 'there is no order', { status: 503 });
    };
    await assert.rejects(
      worker.publish(OFFER),
      (error) => error instanceof SseError && error.code === 'ERR_SSE_UNAVAILABLE' && error.status === 503,
    );
  });

  it('asks until it is answered, and its agent passes it on once', async () => {
    const { worker, lease, asked, startAgent, killAgent } = start();
    const begun = worker.begin('x');
    let answer = (): void => undefined;
    let times = 0;
    lease.begin = () => new Promise((resolve) => (answer = () => resolve(++times)));
    startAgent();
    await eventually(() => asked.length === 1);
    killAgent();
    startAgent();
    await eventually(() => asked.length === 2, 'the next agent is asked');
    answer();
    assert.equal(await begun, 1);
    assert.deepEqual(asked, ['begin x', 'begin x']);
  });

  it('begins nothing any more when it stops, which is no failure', async () => {
    const { worker, lease, startAgent } = start();
    startAgent();
    lease.begin = () => new Promise(() => undefined);
    const begun = worker.begin('x');
    worker.stop();
    assert.equal(await begun, undefined);
  });
});
