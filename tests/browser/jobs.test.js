// The way that people go: upload a program, run it, watch it, read what it wrote; find out why something failed.

import assert from 'node:assert/strict';

import { scene } from './harness/scene.js';
import { example, job } from './harness/server.js';

/** So many digits of pi, the last one rounded, as guest-examples/pi prints them; by Machin's formula. @param {number} count */
function digitsOfPi(count) {
  const guard = 10n;
  const one = 10n ** (BigInt(count) - 1n + guard);
  const arctanOfInverse = (/** @type {bigint} */ x) => {
    let [sum, term] = [0n, one / x];
    for (let n = 1n; term !== 0n; n += 2n) {
      sum += (n % 4n === 1n ? term : -term) / n;
      term /= x * x;
    }
    return sum;
  };
  const pi = (16n * arctanOfInverse(5n) - 4n * arctanOfInverse(239n) + 10n ** guard / 2n) / 10n ** guard;
  return `3.${String(pi).slice(1)}`;
}

scene(
  'pi is uploaded, run, watched until it is complete, and all its digits are read',
  { allow: [/status of (400|409|422)/] },
  async ({ page, open }) => {
    await open();
    await page.getByRole('link', { name: 'New Job' }).click();
    await page.getByLabel('A .wasm file').setInputFiles(example('pi'));
    await page.getByText('pi uploaded').waitFor();
    await page.getByLabel('Command line').fill('pi 2000');
    await page.getByLabel('Completions').fill('5');
    await page.getByLabel('Parallelism').fill('2');
    await page.getByText('kiln would accept this').waitFor();
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await page.getByRole('heading', { name: 'pi', exact: true }).waitFor();
    // It is followed: nothing is loaded anew.
    await page.locator('.head .badge[data-state=succeeded]').waitFor();
    const bar = page.getByRole('progressbar', { name: 'Completions' });
    assert.equal(await bar.getAttribute('aria-valuenow'), '100');
    await page.getByRole('tab', { name: /Pods/ }).click();
    const pods = page.getByRole('grid', { name: 'Pods of the Job' });
    await pods.getByRole('link').first().click();
    const log = page.getByRole('log', { name: 'Log' });
    await log.getByText('3.14159').waitFor();
    const read = await log.locator('.what').allInnerTexts();
    assert.equal(read.join(''), digitsOfPi(2000));
  },
);

scene('a Job is deleted, rerun, suspended and resumed; many are at once', {}, async ({ server, page, open }) => {
  await server.pushExamples('hello', 'sleep');
  await server.createJobs(Array.from({ length: 12 }, (_, i) => job(`batch-${i}`, 'none', ['x'], { suspend: true })));
  await server.createJob(job('other', 'sleep', ['sleep', '600'], { suspend: true }));
  await open('#/jobs');
  const grid = page.getByRole('grid', { name: 'Jobs' });
  await page.locator('[data-search]').fill('batch-');
  await grid.getByRole('checkbox', { name: 'Select all that match' }).check();
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: false }).last().click();
  await page
    .getByText(/No Job|no Job/)
    .first()
    .waitFor();
  const left = (await server.get('/apis/batch/v1/namespaces/default/jobs')).items;
  assert.deepEqual(
    left.map((/** @type {any} */ one) => one.metadata.name),
    ['other'],
  );

  await open('#/jobs/default/other');
  await page.getByRole('button', { name: 'Resume' }).click();
  await page.locator('.head .badge[data-state=running]').waitFor();
  await page.getByRole('button', { name: 'Suspend' }).click();
  await page.locator('.head .badge[data-state=suspended]').waitFor();
  assert.equal((await server.job('other')).spec.suspend, true);
});
