import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { MessengerTimes } from '../../../lib/broker/messenger/messenger_broker';
import type { Sequencer, SequencerTimes } from '../../../lib/broker/messenger/sequencer';
import { eventually } from '../../support/eventually';
import { Master } from '../../support/master';
import { Member } from '../../support/member';
import { contract } from '../contract';

type Overrides = ConstructorParameters<typeof Member>[1];
type WorkerMember = Member & { readonly pid: string };

const opened: Member[] = [];

async function startAgent(master: Master, times?: Partial<SequencerTimes>, overrides?: Overrides): Promise<Member> {
  const agent = new Member(master.startAgent(times), overrides);
  opened.push(agent);
  await agent.start();
  return agent;
}

async function startWorker(
  master: Master,
  times?: Partial<MessengerTimes>,
  overrides?: Overrides,
): Promise<WorkerMember> {
  const { broker, pid } = master.startWorker(times);
  const worker = Object.assign(new Member(broker, overrides), { pid });
  opened.push(worker);
  await worker.start();
  master.tell();
  return worker;
}

async function stopAll(): Promise<void> {
  await Promise.all(opened.splice(0).map((member) => member.broker.stop()));
}

contract(
  'the messenger broker',
  async () => {
    const master = new Master();
    await startAgent(master);
    return { join: (overrides) => startWorker(master, {}, overrides), close: stopAll };
  },
  { members: 3 },
);

describe('the messenger broker', () => {
  afterEach(stopAll);

  async function start(workers: number, times?: Partial<MessengerTimes>, overrides?: Overrides) {
    const master = new Master();
    const agent = await startAgent(master, {}, overrides);
    const members: WorkerMember[] = [];
    for (let i = 0; i < workers; i++) members.push(await startWorker(master, times, overrides));
    return { master, agent, members };
  }

  it('counts the answers of workers that listen, and not that of one which is starting', async () => {
    const master = new Master();
    const agent = await startAgent(master);
    const [starting, listening] = [master.startWorker(), master.startWorker()];
    for (const { broker } of [starting, listening]) {
      const member = new Member(broker);
      opened.push(member);
      await member.start();
    }
    (agent.broker as Sequencer).listening([listening.pid]);
    assert.deepEqual(await agent.broker.ask({ count: 'a' }, 'everywhere'), { answers: [0], complete: true });
  });

  it("takes the agent's own messages into the same order", async () => {
    const { agent, members } = await start(2);
    await Promise.all([members[0]!.publish('1'), agent.publish('2'), members[1]!.publish('3')]);
    for (const { delivered } of members) await eventually(() => delivered.length === 3);
    assert.deepEqual(members[0]!.delivered, members[1]!.delivered);
  });

  it('hands a worker that starts the backlog before it is live, and what is lost', async () => {
    const { master, members } = await start(1, {}, { history: { age: 1e6, count: 3, bytes: 1e9 } });
    for (let i = 1; i <= 5; i++) await members[0]!.publish(`a${i}`);
    await members[0]!.publish('b1', { keys: ['b'] });
    const late = await startWorker(master);
    assert.deepEqual(late.delivered, ['a3', 'a4', 'a5', 'b1']);
    const { epoch } = late.hub.position!;
    for (const member of [members[0]!, late]) {
      assert.deepEqual(member.resume({ epoch, seq: 1 }, ['a', 'b']), { texts: 'a3a4a5b1', gaps: ['a'] });
      assert.deepEqual(member.resume({ epoch, seq: 2 }, ['a', 'b']), { texts: 'a3a4a5b1', gaps: [] });
      assert.deepEqual(member.resume({ epoch, seq: 0 }, ['b']), { texts: 'b1', gaps: [] });
    }
  });

  it('hands over a long backlog while messages go on', async () => {
    const { master, members } = await start(1, {}, { history: { age: 1e6, count: 1e6, bytes: 1e9 } });
    const text = 'x'.repeat(10_000);
    await Promise.all(Array.from({ length: 500 }, (_, i) => members[0]!.publish(`${i} ${text}`)));
    const going = new AbortController();
    const publishing = (async () => {
      for (let i = 500; !going.signal.aborted; i++) await members[0]!.publish(`${i} ${text}`);
    })();
    const late = await startWorker(master);
    going.abort();
    await publishing;
    await eventually(() => late.delivered.length === members[0]!.delivered.length);
    assert.deepEqual(late.delivered, members[0]!.delivered);
  });

  it('goes on with the next agent from the same place, and orders once what was in flight', async () => {
    const { master, members } = await start(3);
    await Promise.all(members.map((member, m) => member.publish(`before ${m}`)));
    const { epoch } = members[0]!.hub.position!;
    // In flight: some of it was ordered when the agent dies, some was not.
    const inFlight = members.flatMap((member, m) => Array.from({ length: 50 }, (_, i) => member.publish(`${m}.${i}`)));
    await inFlight[10];
    const more = members.flatMap((member, m) => Array.from({ length: 50 }, (_, i) => member.publish(`${m}.${50 + i}`)));
    master.killAgent();
    const away = members.map((member, m) => member.publish(`away ${m}`));
    await startAgent(master);
    const places = await Promise.all([...inFlight, ...more, ...away]);
    assert.ok(places.every((place) => place.epoch === epoch));
    assert.equal(new Set(places.map(({ seq }) => seq)).size, places.length);
    for (const { delivered } of members) {
      await eventually(() => delivered.length >= 306);
      assert.equal(delivered.length, 306);
      assert.deepEqual(delivered, members[0]!.delivered);
      for (const m of [0, 1, 2]) {
        const own = delivered.filter((text) => text.startsWith(`${m}.`));
        assert.deepEqual(
          own,
          Array.from({ length: 100 }, (_, i) => `${m}.${i}`),
        );
      }
    }
  });

  it('keeps the history over the death of an agent, for a worker that starts after it', async () => {
    const { master, members } = await start(2, {}, { history: { age: 1e6, count: 2, bytes: 1e9 } });
    for (const text of ['1', '2', '3', '4']) await members[0]!.publish(text);
    master.killAgent();
    await startAgent(master, {}, { history: { age: 1e6, count: 2, bytes: 1e9 } });
    const late = await startWorker(master);
    assert.deepEqual(late.delivered, ['3', '4']);
    const { epoch } = late.hub.position!;
    assert.deepEqual(late.resume({ epoch, seq: 1 }).gaps, ['a']);
    assert.deepEqual(late.resume({ epoch, seq: 2 }).gaps, []);
  });

  it('takes the history of another worker when the one that hands it over dies', async () => {
    const { master, members } = await start(2);
    await members[0]!.publish('1');
    master.killAgent();
    master.stopWorker(members[0]!.pid);
    await startAgent(master);
    await members[1]!.publish('2');
    master.continueWorker(members[0]!.pid);
    await eventually(() => members[0]!.delivered.length === 2);
    assert.deepEqual(members[0]!.delivered, ['1', '2']);
  });

  it('begins a new epoch when neither the agent nor a worker is left, so that nobody resumes into a hole', async () => {
    const { master, members } = await start(1);
    await members[0]!.publish('1');
    const before = members[0]!.hub.position!;
    master.killWorker(members[0]!.pid);
    master.killAgent();
    await startAgent(master);
    const worker = await startWorker(master);
    await worker.publish('2');
    assert.notEqual(worker.hub.position!.epoch, before.epoch);
    assert.deepEqual(worker.resume(before), { texts: '2', gaps: ['a'] });
  });

  it('gives no place twice when an agent did not learn of a worker that knows more', async () => {
    const { master, members } = await start(1);
    await members[0]!.publish('1');
    master.stopWorker(members[0]!.pid);
    master.killAgent();
    await startAgent(master, { silent: 50 });
    const other = await startWorker(master);
    await other.publish('2');
    master.continueWorker(members[0]!.pid);
    await members[0]!.publish('3');
    await eventually(() => members[0]!.delivered.at(-1) === '3' && other.delivered.at(-1) === '3');
    const { epoch } = other.hub.position!;
    assert.equal(members[0]!.hub.position!.epoch, epoch);
    assert.deepEqual(members[0]!.delivered, ['1', '2', '3']);
  });

  it('catches up when something was lost on the way, and nobody gets it twice', async () => {
    const { master, members } = await start(2);
    await members[0]!.publish('1');
    let lost = 0;
    master.loses = (name, pid) => name === 'egg-sse:order' && pid === members[1]!.pid && lost++ === 0;
    await members[0]!.publish('2');
    await members[0]!.publish('3');
    await eventually(() => members[1]!.delivered.length === 3);
    assert.equal(lost > 0, true);
    assert.deepEqual(members[1]!.delivered, ['1', '2', '3']);
  });

  it('tells those who missed it of what is lost meanwhile', async () => {
    const { master, members } = await start(2, {}, { history: { age: 1e6, count: 1, bytes: 1e9 } });
    await members[0]!.publish('1');
    const reader = members[1]!.readers.fromHead(['a']);
    const { epoch } = members[1]!.hub.position!;
    let lost = 0;
    master.loses = (name, pid) => name === 'egg-sse:order' && pid === members[1]!.pid && lost++ < 2;
    await members[0]!.publish('2');
    await members[0]!.publish('3');
    await members[0]!.publish('4');
    await eventually(() => members[1]!.delivered.at(-1) === '4');
    const { gaps, frames } = members[1]!.readers.read(reader, 1e6);
    assert.deepEqual(gaps, [{ reason: 'evicted', keys: ['a'] }]);
    assert.match(frames!.toString(), /4/);
    assert.deepEqual(members[1]!.resume({ epoch, seq: 1 }).gaps, ['a']);
  });

  it('fails a publish that no agent orders, with a code, after a bounded time', async () => {
    const { master, members } = await start(1, { publish: 300 });
    master.killAgent();
    await assert.rejects(members[0]!.publish('x'), { code: 'ERR_SSE_UNAVAILABLE' });
    await startAgent(master);
    await members[0]!.publish('y');
    assert.deepEqual(members[0]!.delivered, ['y']);
  });

  it('lets what is in flight have its place when the worker stops', async () => {
    const { members } = await start(2);
    const published = Array.from({ length: 10 }, (_, i) => members[0]!.publish(String(i)));
    await members[0]!.broker.stop();
    await Promise.all(published);
    await eventually(() => members[1]!.delivered.length === 10);
  });

  it('bounds the memory of publishes that wait, and keeps those that it took', async () => {
    const { master, members } = await start(1);
    master.killAgent();
    const text = 'x'.repeat(1_000_000);
    const results = Promise.allSettled(Array.from({ length: 100 }, (_, i) => members[0]!.publish(`${i} ${text}`)));
    await startAgent(master);
    const settled = await results;
    const taken = settled.filter(({ status }) => status === 'fulfilled').length;
    assert.ok(taken >= 30 && taken <= 33, `${taken} were taken`);
    assert.ok(
      settled.every(
        (each) => each.status === 'fulfilled' || (each.reason as { code: string }).code === 'ERR_SSE_OUTBOX_FULL',
      ),
    );
    assert.equal(members[0]!.delivered.length, taken);
  });

  it('does not wait for a worker that does not answer, and says so', async () => {
    const { master, members } = await start(3);
    master.stopWorker(members[2]!.pid);
    assert.deepEqual(await members[0]!.broker.ask({ count: 'a' }, 'everywhere'), { answers: [0, 0], complete: false });
    master.continueWorker(members[2]!.pid);
    await eventually(async () => (await members[0]!.broker.ask({ count: 'a' }, 'everywhere')).complete);
    master.killWorker(members[2]!.pid);
    assert.deepEqual(await members[0]!.broker.ask({ count: 'a' }, 'everywhere'), { answers: [0, 0], complete: true });
  });

  it('answers for itself when there is no agent', async () => {
    const { master, members } = await start(2, { answer: 100 });
    master.killAgent();
    assert.deepEqual(await members[0]!.broker.ask({ count: 'a' }, 'everywhere'), { answers: [0], complete: false });
    await members[0]!.broker.catchUp();
  });

  it('sends what one turn publishes together', async () => {
    const { master, members } = await start(2);
    let batches = 0;
    master.loses = (name) => {
      if (name === 'egg-sse:order') batches++;
      return false;
    };
    await Promise.all(Array.from({ length: 1_000 }, (_, i) => members[0]!.publish(String(i))));
    assert.ok(batches <= 10, `${batches} batches`);
  });

  it('sends together what is published while the last batch is on its way, and in order', async () => {
    const { master, members } = await start(2);
    const sent = (): number => master.toAgent.filter((name) => name === 'egg-sse:drafts').length;
    master.stopAgent();
    const published: Promise<unknown>[] = [];
    for (let i = 0; i < 100; i++) {
      published.push(members[0]!.publish(String(i)));
      await nextTurn();
    }
    assert.equal(sent(), 1);
    master.continueAgent();
    await Promise.all(published);
    assert.equal(sent(), 2);
    const all = Array.from({ length: 100 }, (_, i) => String(i));
    assert.deepEqual(members[0]!.delivered, all);
    await eventually(() => members[1]!.delivered.length === 100);
    assert.deepEqual(members[1]!.delivered, all);
  });

  it('does not wait for a batch that is lost', async () => {
    const { master, members } = await start(1, { publish: 300 });
    master.loses = (name) => name === 'egg-sse:order';
    const lost = members[0]!.publish('lost');
    await assert.rejects(lost, { code: 'ERR_SSE_UNAVAILABLE' });
    master.loses = () => false;
    await eventually(async () => {
      await members[0]!.publish('next').catch(() => undefined);
      return members[0]!.delivered.includes('next');
    });
  });
});
