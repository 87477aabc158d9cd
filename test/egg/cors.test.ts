import assert from 'node:assert/strict';
import { EggApp } from '../support/egg';
import { Stream } from '../support/stream';

const APP = 'https://app.example.com';

describe('config.sse.cors in an Egg app', () => {
  let app: EggApp;

  before(async () => {
    const cors = { origins: [APP], credentials: true };
    app = await EggApp.start({ config: { sse: { cors }, security: { csrf: { enable: true } } } });
  });
  after(() => app?.stop());

  it('answers a preflight before CSRF tokens and logins are asked for', async () => {
    const preflight = await Stream.open(`${app.url}/stream`, {
      method: 'OPTIONS',
      headers: { Origin: APP, 'Access-Control-Request-Method': 'GET' },
    });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers['access-control-allow-origin'], APP);
    const stream = await Stream.open(`${app.url}/stream`, { headers: { Origin: APP } });
    assert.equal(stream.headers['access-control-allow-origin'], APP);
    assert.match(stream.headers.vary!, /Origin/);
    const refused = await Stream.open(`${app.url}/stream?connectKey=@x`, { headers: { Origin: APP } });
    assert.equal(refused.status, 400);
    assert.equal(refused.headers['access-control-allow-origin'], APP);
    stream.close();
  });
});
