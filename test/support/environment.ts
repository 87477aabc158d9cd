/**
 * The environment for a program that tests start, without what `egg-bin` adds to it: that is for the tests themselves,
 * and would have Egg run TypeScript, in its test environment, wherever it is started.
 */
export function environment(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _, NODE_ENV: __, EGG_TYPESCRIPT: ___, TS_NODE_FILES: ____, ...env } = process.env;
  return env;
}
