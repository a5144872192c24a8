// A test with a server and a page of its own. It fails on what the page must never do, whatever else the test looks at,
// and leaves a picture, the page's text and the server's log if it fails.

import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';

import { browser, Faults, observe } from './browser.js';
import { Server } from './server.js';
import { TARGET } from './tools.js';
import { SOON } from './wait.js';

/**
 * @typedef {object} Scene
 * @property {Server} server
 * @property {import("playwright-core").Page} page
 * @property {Faults} faults
 * @property {(hash?: string) => Promise<void>} open goes to a place of the dashboard, such as "#/jobs"
 */

/**
 * @typedef {object} SceneOptions
 * @property {import("./server.js").ServerOptions} [server]
 * @property {import("playwright-core").BrowserContextOptions} [context]
 * @property {RegExp[]} [allow] errors that the test provokes
 * @property {number} [timeout] milliseconds
 */

/**
 * @param {string} name
 * @param {SceneOptions} options
 * @param {(scene: Scene) => Promise<void>} act
 */
export function scene(name, options, act) {
  test(name, { timeout: options.timeout ?? 4 * SOON }, async () => {
    const server = await Server.start(options.server);
    const context = await (await browser()).newContext(options.context);
    try {
      await observe(context);
      const page = await context.newPage();
      page.setDefaultTimeout(SOON);
      const faults = new Faults(page, options.allow ?? []);
      const open = async (hash = '') => void (await page.goto(`${server.url}/${hash}`));
      try {
        await act({ server, page, faults, open });
        const seen = faults.list();
        if (seen.length > 0) {
          throw new Error(`the page did what it must not:\n  ${seen.join('\n  ')}`);
        }
      } catch (error) {
        const kept = await keep(name, page, server, faults).catch((why) => `nothing (${why})`);
        if (error instanceof Error) {
          error.message += `\nkept: ${kept}`;
        }
        throw error;
      }
    } finally {
      await context.close();
      await server.remove();
    }
  });
}

/**
 * @param {string} name
 * @param {import("playwright-core").Page} page
 * @param {Server} server
 * @param {Faults} faults
 */
async function keep(name, page, server, faults) {
  const dir = path.join(TARGET, 'browser-failures', name.replaceAll(/\W+/g, '-'));
  await mkdir(dir, { recursive: true });
  await writeFile(path.join(dir, 'server.log'), server.log.join('\n'));
  await writeFile(path.join(dir, 'faults.txt'), faults.list().join('\n'));
  await page.screenshot({ path: path.join(dir, 'page.png'), timeout: 5000 });
  await writeFile(path.join(dir, 'page.html'), await page.content());
  return dir;
}
