import assert from 'node:assert/strict';
import { Audience, CAUSES_PLUGIN, ROWS } from '../support/causes';
import { Workers } from '../support/egg';
import { Stream } from '../support/stream';

describe('a message in an app of one worker', () => {
  let app: Workers;
  let audience: Audience;

  before(async () => {
    app = await Workers.start({ workers: 1, plugins: CAUSES_PLUGIN });
    audience = await Audience.of(app);
  });

  after(async () => {
    audience?.close();
    await app?.stop();
  });

  for (const row of ROWS) {
    it(`of ${row.cause} has reach '${row.reach}', a place, and comes once`, () => audience.hearsOnce(row));
  }

  for (const [cause, reach] of [
    ["a schedule of type 'all'", undefined],
    ['a messenger listener', undefined],
    ['a controller', 'process'],
  ] as const) {
    it(`of ${cause}, of reach 'process', comes to a client that was away`, async () => {
      const url = `${app.url}/stream?connectKey=a`;
      const away = await Stream.open(url);
      await away.until(({ events }) => events.length > 0);
      away.close();

      const { reaches, events } = await audience.hear(cause, 'once', reach);
      assert.deepEqual(reaches, ['process']);

      const back = await Stream.open(url, { headers: { 'Last-Event-ID': away.lastEventId } });
      await back.untilMessages(2);
      assert.deepEqual(back.messages[0], events[0]![0]);
      assert.deepEqual(back.own('gap'), []);
      back.close();
    });
  }
});
