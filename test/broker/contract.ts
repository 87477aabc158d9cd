import assert from 'node:assert/strict';
import type { SseOptions } from '../../lib/options/options';
import { eventually } from '../support/eventually';
import type { Member } from '../support/member';

/** Processes that share an order. */
export interface Range {
  /** Starts one more. */
  join(overrides?: Partial<Record<keyof SseOptions, unknown>>): Promise<Member>;
  close(): Promise<void>;
}

/** What every broker promises: run against each of them. */
export function contract(name: string, open: () => Promise<Range>, { members: count }: { members: number }): void {
  describe(`${name}, as every broker`, () => {
    let range: Range;
    const start = async (overrides?: Partial<Record<keyof SseOptions, unknown>>): Promise<Member[]> => {
      range = await open();
      const members: Member[] = [];
      for (let i = 0; i < count; i++) members.push(await range.join(overrides));
      return members;
    };
    afterEach(() => range.close());

    it('gives every message one place, the same for all, and delivers to all in that order', async () => {
      const members = await start();
      const published = members.flatMap((member, m) =>
        Array.from({ length: 200 }, async (_, i) => ({ text: `${m}.${i}`, at: await member.publish(`${m}.${i}`) })),
      );
      const placed = await Promise.all(published);
      assert.equal(new Set(placed.map(({ at }) => at.epoch)).size, 1);
      const expected = placed.toSorted((a, b) => a.at.seq - b.at.seq).map(({ text }) => text);
      for (const { delivered } of members) {
        await eventually(() => delivered.length === placed.length);
        assert.deepEqual(delivered, expected);
      }
    });

    it("keeps the order of one publisher's messages", async () => {
      const [member] = await start();
      const texts = Array.from({ length: 1_000 }, (_, i) => String(i));
      await Promise.all(texts.map((text) => member!.publish(text)));
      await eventually(() => member!.delivered.length === texts.length);
      assert.deepEqual(member!.delivered, texts);
    });

    it('has delivered a message to its publisher when publish resolves', async () => {
      const [member] = await start();
      await member!.publish('x');
      assert.deepEqual(member!.delivered, ['x']);
    });

    it('knows its place before the first message', async () => {
      const [member] = await start();
      assert.equal(member!.hub.position?.seq, 0);
    });

    it('carries every field, and any text', async () => {
      const members = await start();
      const text = 'data: \u0000\u2028é🐎"\\\ndata: \uFEFF\n';
      await members[0]!.publish(text, { id: 'own', event: 'e', keys: ['a', '__proto__', '@user:b'] });
      for (const { delivered, hub } of members) {
        await eventually(() => delivered.length === 1);
        const [message] = hub.handover(0).messages;
        assert.deepEqual(
          { ...message, nonce: undefined },
          {
            body: text,
            id: 'own',
            event: 'e',
            keys: ['a', '__proto__', '@user:b'],
            nonce: undefined,
            run: undefined,
            seq: 1,
          },
        );
      }
    });

    it('asks everyone in range', async () => {
      const members = await start();
      const { answers, complete } = await members[0]!.broker.ask({ count: 'a' }, 'everywhere');
      assert.deepEqual(
        answers,
        members.map(() => 0),
      );
      assert.equal(complete, true);
    });

    it('asks everyone who took a message, and waits until it is there', async () => {
      const members = await start();
      const asked = members.at(-1)!.broker.ask({ received: 'name' }, 'everywhere');
      await members[0]!.publish('x', { confirm: 'name' });
      assert.deepEqual(await asked, { answers: members.map(() => 0), complete: true });
    });

    it("asks everyone for a user's streams", async () => {
      const members = await start();
      const ticket = { time: 1, process: 'some' };
      const { answers, complete } = await members[0]!.broker.ask({ slots: 'ann', ticket }, 'host');
      assert.equal(complete, true);
      const known = answers as { process: string; streams: number }[];
      assert.equal(new Set(known.map(({ process }) => process)).size, members.length);
      assert.ok(known.every(({ streams }) => streams === 0));
    });

    it('has caught up when it says so', async () => {
      const members = await start();
      await Promise.all(Array.from({ length: 100 }, () => members[0]!.publish('x')));
      await members.at(-1)!.broker.catchUp();
      assert.equal(members.at(-1)!.delivered.length, 100);
    });

    it('refuses a publish once stopped, and is safe to stop twice', async () => {
      const [member] = await start();
      await member!.broker.stop();
      await member!.broker.stop();
      await assert.rejects(member!.publish('x'), { code: 'ERR_SSE_STOPPED' });
    });
  });
}
