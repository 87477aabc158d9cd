// Never run: what TypeScript says about right and wrong use.
import type { Agent, Application, Context, EggAppConfig, PowerPartial } from 'egg';
import { createHub, sseSchedule, type Receipt, type SseConfig, type SseMessage, type SseStream } from 'egg-sse';

export async function accepted(app: Application, agent: Agent, ctx: Context): Promise<void> {
  const message: SseMessage = { event: 'created', data: { id: 7 }, id: 'order-7', retry: 1_000 };
  const receipt: Receipt = await app.sse.publish('news', message);
  const { id, reach }: { id: string; reach: 'process' | 'host' | 'everywhere' } = receipt;
  await agent.sse.publish(['news', 'sport'], 'text', { reach });
  await agent.sse.publishAll({ data: id });
  await ctx.app.sse.publishAll('text');

  const counted: number = app.sse.count('news') + ctx.app.sse.countAll() + agent.sse.closeAll();
  app.sse.on('open', ({ keys }) => app.logger.info(keys.join(), counted));

  const options: SseConfig = app.config.sse;
  const most: number = agent.config.sse.maxClients + options.maxKeys;
  const overrides: PowerPartial<EggAppConfig> = {
    sse: { maxClients: most, headers: { 'X-Stream': 'yes' }, history: { age: 1_000 } },
  };
  app.logger.info(overrides);

  const bridged: PowerPartial<EggAppConfig> = {
    sse: {
      bridges: { messenger: { news: 'news', told: { key: ['a', 'b'], event: 'told', reach: 'everywhere' } } },
      publisher: { secret: process.env.SSE_SECRET, keys: ['news'] },
    },
  };
  const { schedule, task } = sseSchedule({
    interval: '5s',
    key: 'news',
    load: async ({ ip, app }) => [ip, app.config.env],
  });
  const annotated = sseSchedule({ cron: '0 * * * * *', all: true, load: (context: Context) => context.service });
  app.logger.info(bridged, schedule.type, annotated.schedule.cron);
  await task(ctx);

  const stream: SseStream = ctx.sse.open({ keys: ['news'], first: async ({ resumed }) => (resumed ? undefined : 'a') });
  await stream.send({ event: 'created', data: 1 });
  await stream.pipe(
    (async function* () {
      yield 'text';
      yield { data: await stream.closed };
    })(),
    { end: false },
  );
  const hub = createHub({
    maxClients: 10,
    history: { count: 5 },
    authorize: ({ headers }) => ({ user: headers.host }),
  });
  hub.on('open', ({ keys }) => app.logger.info(keys.join(), stream.signal.aborted));
  await hub.stop();
}

export function refused(app: Application, agent: Agent, ctx: Context): void {
  // @ts-expect-error: a key is a string
  void app.sse.publish(1, 'text');
  // @ts-expect-error: nor a number in the agent
  void agent.sse.publish(1, 'text');
  // @ts-expect-error: nor by way of a context
  void ctx.app.sse.publish(1, 'text');
  // @ts-expect-error: a message is needed
  void app.sse.publish('news');
  // @ts-expect-error: the event's name is `event`
  void app.sse.publish('news', { eventName: 'created', data: 1 });
  // @ts-expect-error: there is no such reach
  void app.sse.publish('news', 'text', { reach: 'world' });
  // @ts-expect-error: there is no such event
  app.sse.on('opened', () => {});
  // @ts-expect-error: there is no such method
  app.sse.broadcast('text');

  // @ts-expect-error: there is no such option of a stream
  ctx.sse.open({ key: 'news' });
  // @ts-expect-error: a number is no message
  void ctx.sse.open().send(7);
  // @ts-expect-error: there is no such option of a hub
  createHub({ maxClient: 10 });

  // @ts-expect-error: a schedule loads something
  sseSchedule({ interval: '5s', key: 'news' });
  // @ts-expect-error: there is no such option
  sseSchedule({ interval: '5s', key: 'news', type: 'all', load: () => 1 });
  // @ts-expect-error: what the agent publishes gets nowhere with this reach
  const nowhere: SseConfig['bridges'] = { messenger: { news: { key: 'a', reach: 'process' } } };
  app.logger.info(nowhere);

  // @ts-expect-error: a misspelt option
  const misspelt: PowerPartial<EggAppConfig> = { sse: { maxClient: 100 } };
  // @ts-expect-error: a value that is none of the option's
  const unknown: PowerPartial<EggAppConfig> = { sse: { overload: 'wait' } };
  app.logger.info(misspelt, unknown);
}
