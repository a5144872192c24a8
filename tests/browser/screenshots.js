// The pictures of docs/dashboard.md and README.md: every page in both themes, from a server with the same Jobs each time.
//
//   node tests/browser/screenshots.js DIRECTORY       (make screenshots)

import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { furnish, pages, podOf, settled } from './harness/demo.js';
import { Server } from './harness/server.js';
import { CHROMIUM, playwright } from './harness/tools.js';

const [directory = 'docs/screenshots'] = process.argv.slice(2);
const SCREEN = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 780 };
/** Of pages that are shown as they are on a phone, too. */
const ON_PHONE = ['overview', 'jobs', 'job'];

/** What stands for the system's fonts, so that the pictures are the same on each machine. */
const FONTS = `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>
  <dir>/usr/share/fonts</dir><cachedir prefix="xdg">fontconfig</cachedir>
  ${[
    ['system-ui', 'Inter'],
    ['sans-serif', 'Inter'],
    ['ui-monospace', 'JetBrains Mono'],
    ['monospace', 'JetBrains Mono'],
  ]
    .map(
      ([name, font]) =>
        `<match><test name="family"><string>${name}</string></test><edit name="family" mode="prepend" binding="strong"><string>${font}</string></edit></match>`,
    )
    .join('\n  ')}
</fontconfig>`;

/** How long the overview is watched before its picture, so that there is something in its charts, in milliseconds. */
const WATCHED = 20_000;

/** What each page needs before it is worth a picture. @type {Record<string, (page: import('playwright-core').Page) => Promise<void>>} */
const BEFORE = {
  overview: async (page) => {
    await page.getByRole('button', { name: '5 m', exact: true }).click();
    await page.waitForTimeout(WATCHED);
  },
  'new-job': async (page) => {
    await page.getByLabel('Command line').fill('pi 2000');
    await page.getByLabel('Completions').fill('5');
    await page.getByLabel('Parallelism').fill('2');
    await page.getByText('kiln would accept this').waitFor();
    await page.evaluate(() => /** @type {HTMLElement | null} */ (document.activeElement)?.blur());
  },
  'pod-log': async (page) => {
    await page.getByRole('log', { name: 'Log' }).locator('.log-line').first().waitFor();
  },
};

const temporary = await mkdtemp(path.join(tmpdir(), 'kiln-screenshots-'));
const fonts = path.join(temporary, 'fonts.conf');
await writeFile(fonts, FONTS);
await mkdir(directory, { recursive: true });
const server = await Server.start();
const browser = await playwright.chromium.launch({
  executablePath: CHROMIUM,
  args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
  env: { ...process.env, FONTCONFIG_FILE: fonts },
});
try {
  await furnish(server);
  /** @type {string[]} */
  const made = [];
  for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
    for (const [device, viewport] of /** @type {const} */ ([
      ['', SCREEN],
      ['-phone', PHONE],
    ])) {
      const context = await browser.newContext({
        viewport,
        colorScheme,
        reducedMotion: 'reduce',
        deviceScaleFactor: device === '' ? 1 : 2,
      });
      const page = await context.newPage();
      for (const [name, at] of Object.entries({
        ...(await pages(server)),
        pod: `#/pods/default/${await podOf(server, 'render-frames', 29)}`,
      })) {
        if (device !== '' && !ON_PHONE.includes(name)) continue;
        await page.goto('about:blank');
        await page.goto(`${server.url}/${at}`);
        await settled(page);
        await BEFORE[name]?.(page);
        const file = path.join(directory, `${name}${device}-${colorScheme}.png`);
        await page.screenshot({ path: file });
        made.push(file);
      }
      await context.close();
    }
  }
  execFileSync('pngquant', [
    '--force',
    '--ext',
    '.png',
    '--skip-if-larger',
    '--quality',
    '70-95',
    '--speed',
    '1',
    '--strip',
    ...made,
  ]);
  console.log(`${made.length} pictures in ${directory}`);
} finally {
  await browser.close();
  await server.remove();
  await rm(temporary, { recursive: true, force: true });
}
