import type { Context, EggAppConfig, PowerPartial } from 'egg';

export default (): PowerPartial<EggAppConfig> => ({
  // Signs cookies. A real app takes it from its environment.
  keys: 'egg-sse-example',

  // The ticker runs every second: a line for each would fill the disk.
  customLogger: { scheduleLogger: { level: 'WARN' } },

  // File names carry no hash: the browser must ask whether they have changed.
  static: { maxAge: 0, buffer: false },

  // The engine of lib/page_view.ts renders the views.
  view: { mapping: { '.html': 'page' } },

  bodyParser: { jsonLimit: '16kb' },
  // Errors of the API are JSON, whatever the client accepts.
  onerror: { accepts: (ctx: Context) => (ctx.path.startsWith('/api/') ? 'json' : 'html') },

  // egg-sse needs no configuration. With this, notes to a person wait until they come.
  sse: { mailbox: { keys: ['@user:*'] } },
});
