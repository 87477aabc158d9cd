import { firefox, type Browser } from 'playwright-core';
import { findProgram } from './program';

const FIREFOX = {
  title: 'Firefox',
  names: ['firefox-esr', 'firefox'],
  debian: 'firefox-esr',
  variable: 'FIREFOX_PATH',
};

/** Starts a headless Firefox, an unpatched one; resolves with `undefined` where there is none. */
export async function launchFirefox(skipped: string): Promise<Browser | undefined> {
  const executablePath = findProgram(FIREFOX, skipped);
  // This channel speaks WebDriver BiDi, as the Firefox of the system does.
  return executablePath === undefined ? undefined : firefox.launch({ executablePath, channel: 'moz-firefox' });
}
