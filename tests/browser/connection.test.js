// Whether the page tells what is true: a server that goes away and comes back, a tab that is hidden, a token.

import assert from 'node:assert/strict';

import { scene } from './harness/scene.js';
import { job } from './harness/server.js';
import { until } from './harness/wait.js';

/** What the console says while nobody listens at the server's port, and of what is asked without a token. */
const LOST = [
  /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|network error/,
];
const NO_TOKEN = [/status of 401/];

/** @param {import('playwright-core').Page} page */
const state = (page) => page.locator('#connection').getAttribute('data-state');

/** A suspended Job: it stays as it is. @param {string} name */
const quiet = (name) => job(name, 'none', ['x'], { suspend: true });

scene(
  'the page says that the connection is lost, and recovers by itself',
  { allow: LOST },
  async ({ server, page, open }) => {
    await server.createJob(quiet('before'));
    await open('#/jobs');
    await page.getByRole('link', { name: 'before' }).waitFor();
    await page.locator('#connection[data-state=live]').waitFor();
    assert.ok(await page.locator('#banner').isHidden());

    await server.end('SIGKILL');
    await page.locator('#banner').getByText('Connection to kiln lost. What is shown is how it was').waitFor();
    assert.equal(await state(page), 'lost');
    assert.equal(await page.locator('#view').getAttribute('data-stale'), 'lost');
    // What was there is still there, and looks old.
    await page.getByRole('link', { name: 'before' }).waitFor();
    const opacity = await page
      .locator('#view .live')
      .first()
      .evaluate((element) => Number(getComputedStyle(element).opacity));
    assert.ok(opacity < 1, `${opacity}`);

    await server.begin();
    await server.createJob(quiet('after'));
    await page.locator('#connection[data-state=live]').waitFor();
    await page.getByRole('link', { name: 'after' }).waitFor();
    assert.ok(await page.locator('#banner').isHidden());
    assert.equal(await page.locator('#view').getAttribute('data-stale'), null);
  },
);

scene(
  'a page whose files could not be fetched is shown once kiln is back',
  { allow: [...LOST, /Failed to fetch dynamically imported module|ERR_FAILED/] },
  async ({ server, page, open }) => {
    await page.route('**/web/views/jobs.js', (route) => route.abort());
    await open('#/jobs');
    await page.getByText('This page could not be shown').waitFor();
    await server.end('SIGKILL');
    await page.locator('#connection[data-state=lost]').waitFor();
    await page.unroute('**/web/views/jobs.js');
    await server.begin();
    await server.createJob(quiet('after'));
    await page.getByRole('link', { name: 'after' }).waitFor();
  },
);

scene(
  'a server that is ended in order and started again is found, too',
  { allow: LOST },
  async ({ server, page, open }) => {
    await server.createJob(quiet('before'));
    await open('#/jobs');
    await page.getByRole('link', { name: 'before' }).waitFor();
    await page.locator('#connection[data-state=live]').waitFor();
    await server.end('SIGTERM');
    await page.locator('#connection[data-state=lost]').waitFor();
    await server.begin();
    await server.createJob(quiet('after'));
    await page.getByRole('link', { name: 'after' }).waitFor();
    await page.locator('#connection[data-state=live]').waitFor();
  },
);

scene('a hidden tab asks for nothing, and catches up when it is shown', {}, async ({ server, page, open }) => {
  await server.createJob(quiet('first'));
  await open('#/jobs');
  await page.getByRole('link', { name: 'first' }).waitFor();
  const watchers = async () => {
    const metrics = /** @type {string} */ (await server.get('/metrics'));
    const lines = [...metrics.matchAll(/^apiserver_longrunning_requests\{[^}]*verb="WATCH"[^}]*\} (\d+)/gm)];
    return lines.reduce((sum, [, count]) => sum + Number(count), 0);
  };
  await until('it watches', async () => (await watchers()) > 0);

  // Headless browsers have no window that could be covered: the page is told so.
  const become = (/** @type {string} */ visibility) =>
    page.evaluate((wanted) => {
      Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => wanted });
      document.dispatchEvent(new Event('visibilitychange'));
    }, visibility);
  await become('hidden');
  await until('nobody watches', async () => (await watchers()) === 0);
  assert.equal(await state(page), 'paused');
  /** @type {string[]} */
  const asked = [];
  page.on('request', (request) => asked.push(request.url()));
  await server.createJob(quiet('second'));
  // Longer than between two questions for the server's health.
  await new Promise((resume) => setTimeout(resume, 6_000));
  assert.deepEqual(asked, []);
  assert.equal(await page.getByRole('link', { name: 'second' }).count(), 0);

  await become('visible');
  await page.getByRole('link', { name: 'second' }).waitFor();
  await page.locator('#connection[data-state=live]').waitFor();
});

scene(
  'a token is asked for once, and kept for the tab only',
  { server: { token: 'correct-horse-battery' }, allow: NO_TOKEN },
  async ({ server, page, open }) => {
    await server.createJob(quiet('secret-job'));
    await open('#/jobs');
    const dialog = page.getByRole('dialog', { name: 'This server wants a token' });
    await dialog.waitFor();
    assert.equal(await page.getByRole('link', { name: 'secret-job' }).count(), 0);
    await dialog.getByLabel('Token').fill('wrong');
    await page.keyboard.press('Enter');
    await dialog.getByText('That was not the token.').waitFor();
    await dialog.getByLabel('Token').fill('correct-horse-battery');
    await page.keyboard.press('Enter');
    await page.getByRole('link', { name: 'secret-job' }).waitFor();

    // Other pages of it, and the same one again, do not ask.
    await open('#/cronjobs');
    await page.getByText('No CronJobs yet').waitFor();
    await page.reload();
    await page.getByText('No CronJobs yet').waitFor();
    assert.equal(await dialog.count(), 0);
    const kept = await page.evaluate(() => ({
      tab: Object.values(sessionStorage),
      browser: JSON.stringify(localStorage),
      cookies: document.cookie,
      url: location.href,
    }));
    assert.ok(kept.tab.includes('correct-horse-battery'));
    assert.ok(!(kept.browser + kept.cookies + kept.url).includes('correct-horse-battery'));

    // Another tab asks.
    const other = await page.context().newPage();
    await other.goto(`${server.url}/#/jobs`);
    await other.getByRole('dialog', { name: 'This server wants a token' }).waitFor();
    await other.close();

    // Forgotten when somebody says so.
    await page.locator('#connection').click();
    await page.getByRole('button', { name: 'Forget the token' }).click();
    await dialog.waitFor();
    assert.deepEqual(await page.evaluate(() => Object.values(sessionStorage).includes('correct-horse-battery')), false);
  },
);

scene(
  'an upload and a log go with the token, too',
  { server: { token: 'correct-horse-battery' }, allow: NO_TOKEN },
  async ({ server, page, open }) => {
    await open('#/new');
    const dialog = page.getByRole('dialog', { name: 'This server wants a token' });
    await dialog.getByLabel('Token').fill('correct-horse-battery');
    await page.keyboard.press('Enter');
    await page.getByLabel('A .wasm file').setInputFiles({
      name: 'empty.wasm',
      mimeType: '',
      buffer: Buffer.from('0061736d0100000001040160000003020100070a01065f737461727400000a040102000b', 'hex'),
    });
    await page.getByText('empty uploaded').waitFor();
    assert.equal((await server.get('/modules')).length, 1);
  },
);
