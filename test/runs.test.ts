import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { plainServers } from './support/plain';
import { Stream } from './support/stream';

const start = plainServers();

describe('a run', { timeout: 60_000 }, () => {
  it('is read from its start, whenever it is opened', async () => {
    const { sse, url } = await start();
    let go: () => void = () => undefined;
    const going = new Promise<void>((resolve) => (go = resolve));
    await sse.run('42', async function* () {
      yield 'a';
      yield 'b\n';
      await going;
      yield 'c';
      yield { event: 'usage', data: { tokens: 3 } };
    });
    const early = await Stream.open(`${url}?connectKey=run:42`);
    await early.until(({ data }) => data.join('') === 'ab\n');
    go();
    await early.until((stream) => stream.own('end').length > 0);
    const late = await Stream.open(`${url}?connectKey=run:42`);
    await late.until((stream) => stream.own('end').length > 0);
    assert.deepEqual(late.data, ['ab\nc', '{"tokens":3}']);
    console.log(early.text, late.text);
    early.close();
    late.close();
  });
});
