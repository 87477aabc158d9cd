import assert from 'node:assert/strict';
import { Cluster } from '../../support/cluster';
import { Stream } from '../../support/stream';

describe('a stream of a controller at shutdown', () => {
  it('is told, ends in order, and its source is stopped', async () => {
    const cluster = await Cluster.start({ plugins: { streams: 'streams' } });
    const client = await Stream.open(`${cluster.url}/awaits`);
    await client.untilMessages(1);
    const ms = await cluster.stop();
    await client.untilEnd();
    assert.ok(client.response.complete, 'the stream was cut');
    assert.match(client.own('bye')[0]!.data, /^\{"reason":"shutdown"/);
    assert.ok(ms < 4_500, `it took ${ms} ms`);
  });
});
