import { chromium, type Browser } from 'playwright-core';
import { findProgram } from './program';

const CHROMIUM = {
  title: 'Chromium',
  names: ['chromium', 'chromium-browser', 'google-chrome'],
  debian: 'chromium',
  variable: 'CHROMIUM_PATH',
};
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Starts a headless Chromium; resolves with `undefined` where there is none, and what it is for is to be skipped. */
export async function launchChromium(skipped: string): Promise<Browser | undefined> {
  const executablePath = findProgram(CHROMIUM, skipped);
  return executablePath === undefined ? undefined : chromium.launch({ executablePath, args: ARGS });
}
