// The harness itself: each kind of fault that it must notice, in pages that have it.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import test, { after, before } from 'node:test';

import { violations } from './harness/accessible.js';
import { browser, Faults, longestTask, observe } from './harness/browser.js';
import { until } from './harness/wait.js';

/** Pages by their path. @type {Record<string, string>} */
const PAGES = {
  '/good': '<main><h1>Good</h1></main>',
  '/console': "<main><h1>Bad</h1></main><script>console.error('something went wrong')</script>",
  '/uncaught': '<main><h1>Bad</h1></main><script>setTimeout(() => missing.call())</script>',
  '/rejected': "<main><h1>Bad</h1></main><script>Promise.reject(new Error('nobody looked'))</script>",
  '/policy': "<main><h1>Bad</h1><img src=https://elsewhere.invalid/pixel.png alt=''></main>",
  '/contrast': "<main><h1 style='color: #bbb; background: #fff'>Pale</h1><button></button></main>",
};

/** @type {import("node:http").Server} */
let server;
let url = '';

before(async () => {
  server = createServer((request, response) => {
    const page = PAGES[request.url ?? ''];
    response.writeHead(page === undefined ? 404 : 200, {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Security-Policy': "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'",
    });
    response.end(`<!doctype html><html lang=en><title>A page</title>${page ?? ''}</html>`);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
});

after(() => server.close());

/**
 * @param {string} at
 * @param {(page: import("playwright-core").Page, faults: Faults) => Promise<void>} act
 * @param {RegExp[]} [allowed]
 */
async function visit(at, act, allowed = [/favicon/]) {
  const context = await (await browser()).newContext();
  await observe(context);
  const page = await context.newPage();
  const faults = new Faults(page, allowed);
  await page.goto(url + at);
  await act(page, faults);
  await context.close();
}

test('a good page has no faults', async () => {
  await visit('/good', async (page, faults) => {
    assert.deepEqual(await violations(page), []);
    assert.deepEqual(faults.list(), []);
  });
});

for (const [at, said] of [
  ['/console', /console error: something went wrong/],
  ['/uncaught', /not caught: .*missing is not defined/],
  ['/rejected', /not caught: .*nobody looked/],
  ['/policy', /policy: img-src forbids https:\/\/elsewhere\.invalid/],
]) {
  test(`a fault of ${at} is noticed, unless it is expected`, async () => {
    const pattern = /** @type {RegExp} */ (said);
    await visit(/** @type {string} */ (at), async (_page, faults) => {
      await until('the fault is noticed', () => faults.list().some((fault) => pattern.test(fault)));
      faults.allow(/./s);
      assert.deepEqual(faults.list(), []);
    });
  });
}

test('the longest task is measured, also of a page that is loaded meanwhile', async () => {
  await visit('/good', async (page) => {
    const busy = () =>
      page.evaluate(() => {
        return new Promise((resume) =>
          setTimeout(() => {
            const end = performance.now() + 250;
            while (performance.now() < end) {}
            resume(undefined);
          }),
        );
      });
    await busy();
    const idle = await longestTask(page, async () => {});
    assert.ok(idle.cpu < 50, `what came before does not count: ${JSON.stringify(idle)}`);
    for (const before of [async () => {}, () => page.reload()]) {
      const longest = await longestTask(page, async () => {
        await before();
        await busy();
      });
      assert.ok(longest.wall >= 240 && longest.cpu > 0 && longest.cpu <= longest.wall + 1, JSON.stringify(longest));
    }
  });
});

test('what axe-core finds is told with its place', async () => {
  await visit('/contrast', async (page) => {
    const found = (await violations(page)).join('\n');
    assert.match(found, /color-contrast: .*: h1: /);
    assert.match(found, /button-name: .*: button: /);
  });
});
