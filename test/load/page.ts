// A page that we make, in Chromium: readable in light, dark and on a phone, silent, and without a request to the network. Set
// PORTICO_SCREENSHOTS to a directory to keep the pictures.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Browser, CHROMIUM } from './browser.ts';

const SKIPPED = CHROMIUM === undefined ? ' (skipped: none is installed; apt-get install chromium)' : '';

/** Tests a page, which is there when the tests run, on each kind of screen; `check` looks at what it says. */
export function describePage(name: string, page: () => string, check: (browser: Browser) => Promise<void>): void {
  describe.skipIf(CHROMIUM === undefined)(`in Chromium${SKIPPED}`, () => {
    let profile: string;
    let browser: Browser;
    beforeAll(async () => {
      profile = mkdtempSync(join(tmpdir(), 'portico-chromium-'));
      browser = await Browser.start(profile);
    });
    afterAll(async () => {
      await browser?.close();
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    });

    test.each([
      ['light', 1280],
      ['dark', 1280],
      ['light', 390],
      ['dark', 390],
    ] as const)('%s at %d pixels: all is drawn, nothing is logged or asked for', async (scheme, width) => {
      await browser.look(width, scheme);
      await browser.open(pathToFileURL(page()).href);
      await check(browser);
      expect(await browser.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
      const back = await browser.evaluate<string>('getComputedStyle(document.body).backgroundColor');
      expect(back).toBe(scheme === 'light' ? 'rgb(255, 255, 255)' : 'rgb(20, 23, 27)');
      expect(browser.complaints).toEqual([]);
      expect(browser.requests.filter((url) => !/^(file|data|about):/.test(url))).toEqual([]);
      const pictures = process.env['PORTICO_SCREENSHOTS'];
      if (pictures) await browser.screenshot(join(pictures, `${name}-${scheme}-${width}.png`));
    });
  });
}
