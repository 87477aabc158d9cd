import assert from 'node:assert/strict';
import type { CloseReason } from '../../../lib/connection/connection';
import { SseError } from '../../../lib/base/error';
import { user } from '../../../lib/message/keys';
import { eventually } from '../../support/eventually';
import { hubServers } from '../../support/hub';
import { opening, stuck } from '../../support/opening';
import { Stream } from '../../support/stream';

const json = (data: string): unknown => JSON.parse(data) as unknown;

describe('a stream that others end', () => {
  const start = hubServers();

  it('is told so by all who may, with what an API client takes for an error, and its source is stopped', async () => {
    const authorize = { isWelcome: true };
    const { hub, url } = await start((hub, request, response) => hub.open(request, response).pipe(source), {
      authorize: () => {
        if (!authorize.isWelcome) throw Object.assign(new Error('not any more'), { status: 403 });
        return { user: 'ann' };
      },
    });
    const source = stuck();
    const reasons: CloseReason[] = [];
    hub.on('close', ({ reason }) => reasons.push(reason));
    const acts: (() => unknown)[] = [
      () => hub.closeAll(),
      () => hub.disconnect(user('ann'), { reason: 'enough' }),
      () => ((authorize.isWelcome = false), hub.reauthorize(user('ann'))),
      () => ((authorize.isWelcome = true), hub.stop()),
    ];
    const texts: unknown[] = [];
    for (const act of acts) {
      authorize.isWelcome = true;
      const client = await Stream.open(url);
      void act();
      await client.untilEnd();
      assert.ok(client.response.complete);
      texts.push(json(client.own('bye')[0]!.data));
    }
    const bye = (reason: string): object => ({ reason, error: { message: `this stream ended early: ${reason}` } });
    assert.deepEqual(texts, [bye('closed'), bye('enough'), bye('not any more'), bye('shutdown')]);
    assert.deepEqual(reasons, ['closed', 'disconnected', 'refused', 'shutdown']);
    await eventually(() => source.returned === 4);
  });

  it('ends when its time is up', async () => {
    const handle = opening();
    const { url } = await start(handle, { maxAge: 100 });
    const client = await (await Stream.open(url)).untilEnd();
    assert.equal((json(client.own('bye')[0]!.data) as { reason: string }).reason, 'age');
    assert.equal(await handle.streams[0]!.closed, 'age');
  });

  it('goes on, and hears nothing of it, when it is authorized anew', async () => {
    const handle = opening();
    let name = 'ann';
    const { hub, url } = await start(handle, { authorize: () => ({ user: name, keys: ['a'] }) });
    const client = await Stream.open(url);
    name = 'bob';
    await hub.reauthorize(user('ann'));
    await eventually(() => hub.count(user('bob')) === 1);
    await hub.publish([user('bob'), 'a'], 'not for it');
    await handle.streams[0]!.send('still there');
    handle.streams[0]!.close();
    assert.equal((await client.untilEnd()).text, 'data: still there\n\n');
    assert.equal(hub.stats.pools, 0);
  });

  it('ends with sse:error when its handler says so, after what was sent', async () => {
    const { url } = await start((hub, request, response) => {
      const stream = hub.open(request, response);
      void stream.send('a');
      stream.fail(new SseError('ERR_MINE', 'it did not work'));
    });
    const client = await (await Stream.open(url)).untilEnd();
    const error = { code: 'ERR_MINE', message: 'it did not work' };
    assert.deepEqual(client.data, ['a']);
    assert.deepEqual(json(client.own('error')[0]!.data), { ...error, error });
  });
});
