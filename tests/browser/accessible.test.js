// Every page in both themes, on a screen and on a phone: axe-core finds nothing, and nothing is wider than the phone.

import assert from 'node:assert/strict';

import { violations } from './harness/accessible.js';
import { furnish, pages, settled } from './harness/demo.js';
import { scene } from './harness/scene.js';

/** Pages whose content asks for what is refused: a manifest that is not complete yet. */
const ALLOW = [/status of 422/];

/** How each page is looked at. On a phone the colours are the same. */
const LOOKS = /** @type {const} */ ([
  { on: 'a screen', width: 1280, height: 900, colorScheme: 'light' },
  { on: 'a screen', width: 1280, height: 900, colorScheme: 'dark' },
  { on: 'a phone', width: 360, height: 740, colorScheme: 'light' },
]);

scene(
  'axe-core finds no violation on any page, in both themes and on a phone, and no page is wider than the phone',
  { timeout: 300_000, allow: ALLOW },
  async ({ server, page, open }) => {
    await furnish(server);
    const found = [];
    for (const [name, at] of Object.entries(await pages(server))) {
      await page.goto('about:blank');
      await open(at);
      for (const { on, width, height, colorScheme } of LOOKS) {
        await page.setViewportSize({ width, height });
        await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
        await settled(page);
        found.push(...(await violations(page)).map((one) => `${name} on ${on}, ${colorScheme}: ${one}`));
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        if (wide > width) {
          found.push(`${name} on ${on}: ${wide} px wide`);
        }
      }
    }
    assert.deepEqual(found, []);
  },
);

scene(
  'axe-core finds no violation in dialogs, in both themes',
  { context: { viewport: { width: 1280, height: 900 } } },
  async ({ server, page, open }) => {
    await server.pushExamples('pi');
    await open('#/modules');
    const found = [];
    for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      for (const openIt of [
        () => page.keyboard.press('?'),
        () => page.locator('#connection').click(),
        () => page.getByRole('button', { name: 'Delete pi' }).click(),
        () => page.getByText('pi', { exact: true }).click(),
      ]) {
        await openIt();
        await page.getByRole('dialog').waitFor();
        found.push(...(await violations(page)));
        await page.keyboard.press('Escape');
        await page.getByRole('dialog').waitFor({ state: 'detached' });
      }
    }
    assert.deepEqual(found, []);
  },
);
