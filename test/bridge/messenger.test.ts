import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { MessengerBridge } from '../../lib/bridge/messenger';
import type { SseBridges } from '../../lib/options/bridges';
import { eventually } from '../support/eventually';
import { plainServers } from '../support/plain';
import { Stream } from '../support/stream';

describe('the messenger bridge', () => {
  const startServer = plainServers();

  /** A bridge with a client of `a`, and what it logs. */
  async function start(routes: NonNullable<SseBridges['messenger']>) {
    const { sse, url } = await startServer();
    const messenger = new EventEmitter();
    const errors: string[] = [];
    const bridge = new MessengerBridge(messenger, sse, { error: (error) => void errors.push(String(error)) });
    bridge.start(routes);
    const stream = await Stream.open(`${url}?connectKey=a`);
    await stream.until(({ events }) => events.length > 0);
    const heard = async () => {
      await sse.publishAll('end');
      await stream.until(({ data }) => data.at(-1) === 'end');
      const messages = stream.messages.slice(0, -1).map(({ event, data, id }) => ({ event, data, id }));
      stream.close();
      return messages;
    };
    return { bridge, messenger, errors, heard };
  }

  it('publishes the data of an action to its key: a text as it is, anything else as JSON', async () => {
    const { messenger, heard } = await start({ news: 'a' });
    for (const data of ['text', { id: 7 }, [1], 7, null, '']) messenger.emit('news', data);
    messenger.emit('other', 'x');
    assert.deepEqual(
      (await heard()).map(({ data }) => data),
      ['text', '{"id":7}', '[1]', '7', 'null', ''],
    );
  });

  it('takes an object for a message when it has data, and no fields but those of a message', async () => {
    const { messenger, heard } = await start({ news: 'a' });
    messenger.emit('news', { event: 'paid', data: { id: 7 }, id: 'own' });
    messenger.emit('news', { data: 'x', total: 1 });
    messenger.emit('news', { event: 'paid' });
    const [message, ...others] = await heard();
    assert.deepEqual(message, { event: 'paid', data: '{"id":7}', id: 'own' });
    assert.deepEqual(
      others.map(({ event, data }) => ({ event, data })),
      [
        { event: undefined, data: '{"data":"x","total":1}' },
        { event: undefined, data: '{"event":"paid"}' },
      ],
    );
  });

  it('names what has no name of its own, goes to several keys or to all, and needs no data then', async () => {
    const { messenger, heard } = await start({
      both: { key: ['a', 'b'], event: 'both' },
      all: { all: true, event: 'all', reach: 'everywhere' },
    });
    messenger.emit('both', 1);
    messenger.emit('both', { event: 'own', data: 2 });
    messenger.emit('all');
    assert.deepEqual(
      (await heard()).map(({ event, data }) => [event, data]),
      [
        ['both', '1'],
        ['own', '2'],
        ['all', ''],
      ],
    );
  });

  it('logs what cannot be published once for each action and cause, and goes on', async () => {
    const { messenger, errors, heard } = await start({ news: 'a', other: 'a' });
    for (let i = 0; i < 3; i++) {
      messenger.emit('news');
      messenger.emit('news', { data: 'x', event: `line\nend ${i}` });
    }
    messenger.emit('other');
    messenger.emit('news', 'fine');
    await eventually(() => errors.length === 3);
    assert.deepEqual(
      (await heard()).map(({ data }) => data),
      ['fine'],
    );
    assert.equal(errors.length, 3);
    assert.match(
      errors[0]!,
      /the data of the messenger action "news" was not published: message is an object without data/,
    );
    assert.match(errors[1]!, /"news" was not published: event is "line\\nend 0".*\(this is said once\)$/);
    assert.match(errors[2]!, /"other" was not published/);
  });

  it('publishes nothing any more once it is stopped', async () => {
    const { bridge, messenger, heard } = await start({ news: 'a' });
    bridge.stop();
    bridge.stop();
    messenger.emit('news', 'late');
    assert.deepEqual(await heard(), []);
    assert.equal(messenger.listenerCount('news'), 0);
  });
});
