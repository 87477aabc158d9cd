import assert from 'node:assert/strict';
import { constants, createDeflateRaw, gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { NOTHING_SHARED, SharedDeflate, type Inflater, GZIP_HEADER } from '../../lib/connection/deflate';

/** Who hears blocks, and what they should have heard. */
class Listener implements Inflater {
  heard = NOTHING_SHARED;
  readonly bytes: Buffer[] = [GZIP_HEADER];
  readonly said: Buffer[] = [];

  hear(bytes: Buffer, plain: Buffer): void {
    this.bytes.push(bytes);
    this.said.push(plain);
  }

  get length(): number {
    return this.bytes.slice(1).reduce((sum, { length }) => sum + length, 0);
  }

  /** What a real decoder makes of it: zlib's own, given all and no end. */
  get decoded(): string {
    return gunzipSync(Buffer.concat(this.bytes), { finishFlush: constants.Z_SYNC_FLUSH }).toString();
  }

  check(): void {
    assert.equal(this.decoded, Buffer.concat(this.said).toString());
  }
}

function message(i: number): Buffer {
  const data = { id: i, name: `user ${i % 7}`, price: ((i * 7919) % 1000) / 8, at: `2026-11-21T10:${i % 60}:00Z` };
  return Buffer.from(`event: changed\ndata: ${JSON.stringify(data)}\nid: abcdefgh-${i.toString(36)}\n\n`);
}

/** What a stream of zlib for one client makes of messages. */
async function streamed(messages: readonly Buffer[]): Promise<number> {
  const stream = createDeflateRaw({ level: 6 });
  let length = 0;
  stream.on('data', (bytes: Buffer) => (length += bytes.length));
  for (const each of messages) {
    stream.write(each);
    await new Promise<void>((resolve) => {
      stream.flush(constants.Z_SYNC_FLUSH, resolve);
    });
  }
  stream.destroy();
  return length;
}

describe('SharedDeflate', () => {
  it('makes each block once for all who have heard the same', () => {
    const deflate = new SharedDeflate(6);
    const listeners = Array.from({ length: 5 }, () => new Listener());
    for (let i = 0; i < 20; i++) {
      const plain = message(i);
      const blocks = listeners.map((listener) => {
        const block = deflate.compress(plain, listener, true);
        listener.hear(block, plain);
        return block;
      });
      // The first block tells them apart from nobody: all begin there.
      if (i > 0) assert.equal(new Set(blocks).size, 1);
    }
    for (const listener of listeners) listener.check();
  });

  it('is as small as a stream for each client', async () => {
    const deflate = new SharedDeflate(6);
    const listener = new Listener();
    const messages = Array.from({ length: 500 }, (_, i) => message(i));
    for (const plain of messages) listener.hear(deflate.compress(plain, listener, true), plain);
    listener.check();
    const alone = await streamed(messages);
    assert.ok(listener.length < 1.05 * alone, `${listener.length} bytes, ${alone} alone`);
  });

  it('lets those who join in between share from the next message on', () => {
    const deflate = new SharedDeflate(6);
    const first = new Listener();
    for (let i = 0; i < 50; i++) first.hear(deflate.compress(message(i), first, true), message(i));
    const second = new Listener();
    const hello = Buffer.from('event: sse:hello\ndata: {}\n\n');
    second.hear(deflate.compressAlone(hello, second), hello);
    for (let i = 50; i < 60; i++) {
      const plain = message(i);
      const [one, other] = [first, second].map((listener) => {
        const block = deflate.compress(plain, listener, true);
        listener.hear(block, plain);
        return block;
      });
      assert.equal(one, other);
    }
    first.check();
    second.check();
  });

  it('keeps no more than deflate refers to, whatever it was given', () => {
    const deflate = new SharedDeflate(1);
    const listener = new Listener();
    const large = Buffer.alloc(1e6, 'data: x\n');
    for (let i = 0; i < 3; i++) listener.hear(deflate.compress(large, listener, true), large);
    assert.equal(deflate.windowBytes, 32 * 1024);
    listener.check();
    const small = new SharedDeflate(6, () => 100);
    const other = new Listener();
    for (let i = 0; i < 9; i++) other.hear(small.compress(message(i), other, true), message(i));
    assert.equal(small.windowBytes, 100);
    other.check();
  });

  it('gives everyone what they should hear, whoever joins, leaves, lags behind and hears a word of their own', () => {
    const act = fc.record({
      do: fc.constantFrom('say', 'say', 'say', 'join', 'leave', 'private', 'lag'),
      who: fc.nat(9),
      text: fc.string({ maxLength: 40 }),
    });
    fc.assert(
      fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
        const deflate = new SharedDeflate(6);
        const listeners = [new Listener()];
        const gone: Listener[] = [];
        /** What each is behind by. */
        const missed = new Map<Listener, Buffer[]>();
        for (const { do: what, who, text } of acts) {
          const one = listeners[who % Math.max(1, listeners.length)];
          const plain = Buffer.from(`data: ${text}\n\n`);
          if (what === 'join') listeners.push(new Listener());
          else if (one === undefined) continue;
          else if (what === 'leave') gone.push(...listeners.splice(listeners.indexOf(one), 1));
          else if (what === 'private') one.hear(deflate.compressAlone(plain, one), plain);
          else if (what === 'lag') missed.set(one, missed.get(one) ?? []);
          if (what !== 'say') continue;
          for (const listener of listeners) {
            const waiting = missed.get(listener);
            if (waiting === undefined) {
              listener.hear(deflate.compress(plain, listener, true), plain);
              continue;
            }
            waiting.push(plain);
            if (who < 7) continue;
            missed.delete(listener);
            const all = Buffer.concat(waiting);
            listener.hear(deflate.compress(all, listener, who === 9), all);
          }
        }
        for (const listener of [...listeners, ...gone]) listener.check();
      }),
      { numRuns: 300 },
    );
  });
});
