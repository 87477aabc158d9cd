import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Polls } from '../../lib/broker/polls';

describe('polls', () => {
  it('are over when all that were asked have answered', async () => {
    const polls = new Polls(60_000);
    let number = 0;
    const asked = polls.ask((poll) => {
      number = poll;
      return ['a', 'b'];
    });
    polls.hear(number, 'a', 1);
    polls.hear(number, 'b', 2);
    const { answers, complete } = await asked;
    assert.deepEqual(
      [...answers],
      [
        ['a', 1],
        ['b', 2],
      ],
    );
    assert.equal(complete, true);
  });

  it('are over at once when none was asked', async () => {
    const { answers, complete } = await new Polls(60_000).ask(() => []);
    assert.deepEqual([answers.size, complete], [0, true]);
  });

  it('count answers that come before it is known who was asked', async () => {
    const polls = new Polls(60_000);
    const { answers, complete } = await polls.ask(async (poll) => {
      polls.hear(poll, 'a', undefined);
      await nextTurn();
      return ['a'];
    });
    assert.deepEqual([answers.has('a'), complete], [true, true]);
  });

  it('end at their deadline, with the answers that have come', async () => {
    const polls = new Polls(20);
    const { answers, complete } = await polls.ask((poll) => {
      polls.hear(poll, 'a', 1);
      return ['a', 'b'];
    });
    assert.deepEqual([[...answers], complete], [[['a', 1]], false]);
  });

  it('end when the question cannot be sent', async () => {
    const polls = new Polls(60_000);
    const { complete } = await polls.ask(async () => {
      throw new Error('Redis is away');
    });
    assert.equal(complete, false);
  });

  it('pass over an answer that comes late, and one to another question', async () => {
    const polls = new Polls(60_000);
    let first = 0;
    const ended = polls.ask((poll) => {
      first = poll;
      return ['a'];
    });
    polls.stop();
    assert.equal((await ended).complete, false);
    const next = polls.ask(() => ['a']);
    polls.hear(first, 'a', 'late');
    polls.stop();
    assert.deepEqual([...(await next).answers], []);
  });
});
