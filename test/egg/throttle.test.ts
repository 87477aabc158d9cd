import assert from 'node:assert/strict';
import { Workers } from '../support/egg';
import { Stream } from '../support/stream';

async function open(url: string, options?: Parameters<typeof Stream.open>[1]): Promise<Stream> {
  return (await Stream.open(url, options)).until(({ events }) => events.length > 0);
}

describe('a client of a throttled key in an app of two workers', () => {
  let app: Workers;

  before(async () => {
    const throttle = { price: { interval: 60_000, keep: 'latest' } };
    app = await Workers.start({ workers: 2, config: { sse: { throttle } } });
  });
  after(() => app?.stop());

  it('gets on another worker what was held back from it on the first', async () => {
    const [here, there] = await app.allWorkers();
    const publish = async (key: string, data: string): Promise<unknown> =>
      (await fetch(`${here!.url}/publish?key=${key}&data=${data}`)).json();
    const first = await open(`${here!.url}/stream?connectKey=price&connectKey=news`);
    for (const [key, data] of [
      ['price', '1'],
      ['price', '2'],
      ['news', 'a'],
    ] as const) {
      await publish(key, data);
    }
    await first.untilMessages(2);
    first.close();
    await publish('news', 'b');
    const second = await open(`${there!.url}/stream?connectKey=price&connectKey=news`, {
      headers: { 'Last-Event-ID': first.lastEventId },
    });
    await second.untilMessages(2);
    assert.deepEqual(
      [first.data, second.data],
      [
        ['1', 'a'],
        ['2', 'b'],
      ],
    );
    assert.deepEqual(second.own('gap'), []);
    second.close();
  });
});
