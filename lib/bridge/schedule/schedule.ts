import { createHash } from 'node:crypto';
import { checkTarget, TARGET_CHECKS, type SseTarget } from '../../options/bridges';
import { group, isObject, oneOf, Option, optional, when } from '../../options/check';
import { SseError } from '../../base/error';
import { encodeData } from '../../message/message';
import { getLease } from './lease';

/** Options of Egg's own schedules, besides their times. */
export interface EggScheduleOptions {
  /** Runs once as soon as the app is ready, too. */
  immediate?: boolean;
  /** Never runs. */
  disable?: boolean;
  /** Runs only in these environments. */
  env?: readonly string[];
  /** Options of cron-parser. */
  cronOptions?: object;
}

/** Options of `sseSchedule`. */
export interface SseScheduleOptions<C> extends EggScheduleOptions, SseTarget {
  /** ms, or a text such as `5s`. */
  interval?: number | string;
  /** A cron expression, instead of `interval`. */
  cron?: string;
  /** The name of the event that is published. */
  event?: string;
  /** Returns the data, a string or a value that JSON can hold; `undefined`: nothing is published. */
  load(ctx: C): unknown;
}

/** The export that Egg wants of a file in `app/schedule`. */
export interface SseSchedule<C> {
  readonly schedule: {
    readonly type: 'worker';
    readonly interval?: number | string;
    readonly cron?: string;
  } & Readonly<EggScheduleOptions>;
  task(ctx: C): Promise<void>;
}

/** The part of Egg's context that a schedule needs. */
interface ScheduleContext {
  readonly app: object;
  readonly query: object;
}

// Egg reads intervals with humanize-ms, which knows these.
const INTERVAL =
  /^(\d+)?\.?\d+ *(milliseconds?|msecs?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|w|years?|yrs?|y)?$/i;

const checkEach = group('an object', {
  interval: optional(
    when<number | string>(
      (value) =>
        (typeof value === 'number' && value >= 1 && Number.isFinite(value)) ||
        (typeof value === 'string' && INTERVAL.test(value) && Number.parseFloat(value) > 0),
      'a number of ms from 1, or a text such as "5s"',
    ),
  ),
  cron: optional(
    when<string>((value) => typeof value === 'string' && value.trim() !== '', 'a text such as "*/5 * * * *"'),
  ),
  ...TARGET_CHECKS,
  load: when((value) => typeof value === 'function', 'a function that returns the data'),
  immediate: optional(oneOf(true, false)),
  disable: optional(oneOf(true, false)),
  env: optional(
    when<readonly string[]>(
      (value) => Array.isArray(value) && value.every((env) => typeof env === 'string'),
      "an array of environments' names",
    ),
  ),
  cronOptions: optional(when<object>(isObject, 'an object of options of cron-parser')),
});

/**
 * Makes an Egg schedule of a function that loads something: one worker runs it, of the host or, with `config.sse.redis`,
 * of all hosts, and all their clients get the result whenever it has changed.
 *
 * Throws `SseError` `ERR_SSE_CONFIG` for an option that is wrong, so that the app does not start.
 */
export function sseSchedule<C>(options: SseScheduleOptions<C>): SseSchedule<C> {
  const option = new Option('sseSchedule', options);
  if (!isObject(options)) throw option.error('needs an object, { interval | cron, key, load }');
  const { key, all, event, load, ...times } = checkEach(option) as SseScheduleOptions<C>;
  checkTarget(option, { key, all });
  const { interval, cron, immediate } = times;
  if (
    (interval !== undefined && cron !== undefined) ||
    (interval === undefined && cron === undefined && immediate !== true)
  ) {
    throw option.error(
      `has ${interval === undefined ? 'neither interval nor cron' : 'both interval and cron'}; say one of them`,
    );
  }
  return {
    schedule: { type: 'worker', ...times },
    async task(ctx) {
      const { app, query } = ctx as ScheduleContext;
      const lease = getLease(app);
      if (lease === undefined) {
        throw new SseError('ERR_SSE_CONFIG', 'the app has no plugin egg-sse; enable it in config/plugin');
      }
      // Egg's query names the file of the schedule.
      const name = String((query as { path?: unknown }).path);
      const run = await lease.begin(name);
      if (run === undefined) return;
      const result = await load(ctx);
      if (result === undefined) return;
      const data = encodeData(result);
      const digest = createHash('sha256').update(data).digest('base64');
      await lease.publish({ name, run, digest, target: { key, all }, event, data });
    },
  };
}
