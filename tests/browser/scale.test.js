// Pages with ten thousand Jobs and with a hundred thousand pods answer within a tenth of a second.

import assert from 'node:assert/strict';

import { longestTask } from './harness/browser.js';
import { scene } from './harness/scene.js';
import { EMPTY_MODULE, job } from './harness/server.js';
import { until } from './harness/wait.js';

/** Longer than this no task may keep a page from answering, in milliseconds. */
const LIMIT = 100;
const JOBS = 10_000;

/**
 * Does something at most three times: caches that are cold and a machine that is busy make a task longer now and then, but a
 * page that is slow is slow each time.
 *
 * @param {import('playwright-core').Page} page
 * @param {string} what
 * @param {() => Promise<void>} act
 */
async function staysQuick(page, what, act) {
  /** @type {import('./harness/browser.js').Task[]} */
  const seen = [];
  const best = () => Math.min(...seen.map((task) => task.cpu));
  do {
    seen.push(await longestTask(page, act));
  } while (best() > LIMIT && seen.length < 3);
  const told = seen.map(({ wall, cpu }) => `${Math.round(cpu)} ms (${Math.round(wall)} by the clock)`).join(', ');
  console.log(`# ${what}: longest task ${told}`);
  assert.ok(best() <= LIMIT, `${what}: ${told}`);
}

/** The Job with this number: suspended, so that it stays as it is. @param {number} i */
function quiet(i) {
  const made = job(nameOf(i), 'none', ['x'], { suspend: true, completions: 1 + (i % 50) });
  made.metadata.labels = { team: ['red', 'green', 'blue'][i % 3] };
  return made;
}

/** @param {number} i */
const nameOf = (i) => `job-${String(i).padStart(5, '0')}`;

scene(
  'ten thousand Jobs are listed, scrolled, filtered and sorted',
  { timeout: 240_000 },
  async ({ server, page, open }) => {
    const began = Date.now();
    await server.createJobs(Array.from({ length: JOBS }, (_, i) => quiet(i)));
    console.log(`# ${JOBS} Jobs made in ${Date.now() - began} ms`);
    const grid = page.getByRole('grid', { name: 'Jobs' });
    await staysQuick(page, 'loading', async () => {
      await page.goto('about:blank');
      await open('#/jobs');
      await until('all are there', async () => (await grid.getAttribute('aria-rowcount')) === String(JOBS + 1));
    });
    assert.ok((await grid.getByRole('row').count()) < 100, 'only rows that are seen exist');

    await staysQuick(page, 'scrolling', async () => {
      await grid.hover();
      for (let i = 0; i < 40; i++) await page.mouse.wheel(0, 900);
      await grid.evaluate(async (element) => {
        for (let i = 0; i <= 20; i++) {
          element.scrollTop = (element.scrollHeight * i) / 20;
          await new Promise((drawn) => requestAnimationFrame(drawn));
        }
      });
    });
    const filter = page.locator('[data-search]');
    await staysQuick(page, 'filtering', async () => {
      await filter.fill('');
      await filter.pressSequentially('job-0123', { delay: 20 });
      await until('ten are left', async () => (await grid.getAttribute('aria-rowcount')) === '11');
      await filter.fill('team=red');
      await until('a third is left', async () => (await grid.getAttribute('aria-rowcount')) === '3335');
      await filter.fill('');
      await until('all are back', async () => (await grid.getAttribute('aria-rowcount')) === String(JOBS + 1));
    });
    await staysQuick(page, 'sorting', async () => {
      for (const name of ['Job', 'Created', 'Progress', 'Job']) {
        await grid.getByRole('columnheader').getByRole('button', { name, exact: true }).click();
      }
    });
    await staysQuick(page, 'changes while it is looked at', async () => {
      for (let i = 0; i < 200; i++) {
        await server.ask(
          'PATCH',
          `/apis/batch/v1/namespaces/default/jobs/${nameOf(i)}`,
          `{"metadata":{"labels":{"seen":"s${Date.now()}"}}}`,
          'application/merge-patch+json',
        );
      }
    });
  },
);
