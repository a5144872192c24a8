// The page "New Job": upload, form, YAML, the server's complaints at their fields.

import assert from 'node:assert/strict';

import { scene } from './harness/scene.js';
import { example } from './harness/server.js';
import { EMPTY_MODULE } from './harness/guests.js';
import { until } from './harness/wait.js';

/** The browser's console tells of each refusal. */
const REFUSALS = [/status of (400|409|422)/];

/** @typedef {import('playwright-core').Page} Page */

/** @param {Page} page */
const yaml = (page) => page.getByRole('textbox', { name: 'YAML' });
/** @param {Page} page */
const verdict = (page) => page.locator('#yaml-verdict');

scene('a file becomes a module, and its name fills the form', { allow: REFUSALS }, async ({ server, page, open }) => {
  await open('#/new');
  await page.getByLabel('A .wasm file').setInputFiles(example('hello'));
  await page.getByText('hello uploaded: a command of 67.2 KiB').waitFor();
  assert.equal((await server.get('/modules/hello')).size, 68_851);
  assert.equal(await page.getByLabel('Module', { exact: true }).inputValue(), 'hello');
  assert.equal(await page.getByLabel('Name of the Job').inputValue(), 'hello');
  await page.getByRole('region', { name: 'Module hello' }).getByText('Command', { exact: true }).waitFor();
  await page.getByLabel('Command line').fill(`hello Ada 'Grace H'`);
  await page.getByLabel('Environment').fill('GREETING=Good day');
  await page.getByText('kiln would accept this').waitFor();
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.waitForURL('**/#/jobs/default/hello');
  assert.equal((await server.ended('hello')).type, 'Complete');
  const made = await server.job('hello');
  const [container] = made.spec.template.spec.containers;
  assert.deepEqual(container.command, ['hello', 'Ada', 'Grace H']);
  assert.deepEqual(container.env, [{ name: 'GREETING', value: 'Good day' }]);
});

scene(
  'what is no program is refused in words, and nothing is kept',
  { allow: REFUSALS },
  async ({ server, page, open }) => {
    await open('#/new');
    await page.getByLabel('A .wasm file').setInputFiles({
      name: 'Not a program.wasm',
      mimeType: 'application/wasm',
      buffer: Buffer.from('#!/bin/sh\necho <b>no</b>\n'),
    });
    const refused = page.locator('.notice[data-state=failed]');
    await refused.getByText('Not a program.wasm was refused').waitFor();
    assert.match(await refused.innerText(), /WebAssembly/);
    assert.deepEqual(await server.get('/modules'), []);
    // Another try, dropped anywhere on the page.
    const dropped = await page.evaluateHandle(
      (bytes) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(bytes)], 'empty.wasm'));
        return transfer;
      },
      [...EMPTY_MODULE],
    );
    await page.locator('#view').dispatchEvent('drop', { dataTransfer: dropped });
    await page.getByText('empty uploaded: a command of').waitFor();
  },
);

scene(
  'a name that means another module is not taken over in silence',
  { allow: REFUSALS },
  async ({ server, page, open }) => {
    await server.push('hello', EMPTY_MODULE);
    const before = await server.get('/modules/hello');
    await open('#/new');
    await page.locator('#known-modules option').first().waitFor({ state: 'attached' });
    const file = page.getByLabel('A .wasm file');
    await file.setInputFiles(example('hello'));
    await page.getByText('hello means another module already').waitFor();
    assert.deepEqual(await server.get('/modules/hello'), before);
    await page.getByLabel('Upload it as').fill('hello:2');
    await page.getByRole('button', { name: 'Upload', exact: true }).click();
    await page.getByText('hello:2 uploaded').waitFor();
    assert.deepEqual(await server.get('/modules/hello'), before);
    assert.equal(await page.getByLabel('Module', { exact: true }).inputValue(), 'hello:2');
    await file.setInputFiles(example('hello'));
    await page.getByRole('button', { name: 'Replace hello', exact: true }).click();
    await page.getByText('hello uploaded').waitFor();
    assert.notEqual((await server.get('/modules/hello')).digest, before.digest);
    // The same bytes again are no other module.
    await file.setInputFiles(example('hello'));
    await page.getByText('hello uploaded').waitFor();
  },
);

scene(
  "the server's complaints stand at their fields while one types",
  { allow: REFUSALS },
  async ({ server, page, open }) => {
    await server.pushExamples('pi');
    await open('#/new?module=pi');
    await page.getByText('kiln would accept this').waitFor();
    const completions = page.getByLabel('Completions');
    await completions.fill('-1');
    await page.getByText('must be greater than or equal to 0').waitFor();
    assert.equal(await completions.getAttribute('aria-invalid'), 'true');
    const described = await completions.evaluate((element) =>
      element
        .getAttribute('aria-describedby')
        ?.split(' ')
        .map((id) => document.getElementById(id)?.textContent),
    );
    assert.deepEqual(described, ['How many pods must succeed', 'must be greater than or equal to 0']);
    await page.getByText('One thing to put right').waitFor();
    await page.getByLabel('Memory').fill('12x');
    await page.getByText('2 things to put right').waitFor();
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await until('the first field with a fault has the focus', () =>
      completions.evaluate((element) => element === document.activeElement),
    );
    await completions.fill('x');
    await page.getByText('a whole number').waitFor();
    await completions.fill('2');
    await page.getByLabel('Memory').fill('');
    await page.getByText('kiln would accept this').waitFor();
    assert.equal(await completions.getAttribute('aria-invalid'), null);
    assert.equal((await server.get('/apis/batch/v1/namespaces/default/jobs')).items.length, 0);

    // A name that is taken is told at the name, when it is run and before.
    await server.createJob(await yaml(page).inputValue());
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await page.getByText('exists already').waitFor();
    assert.equal(await page.getByLabel('Name of the Job').getAttribute('aria-invalid'), 'true');
  },
);

scene(
  'YAML can be pasted, is checked, and wins over the form until one goes back',
  { allow: REFUSALS },
  async ({ server, page, open }) => {
    await server.pushExamples('pi');
    await open('#/new?module=pi');
    const text = yaml(page);
    await page.getByText('kiln would accept this').waitFor();
    assert.match(await text.inputValue(), /^apiVersion: batch\/v1\nkind: Job\n/);
    const pasted =
      '# Three of them.\n' + (await text.inputValue()).replace('spec:\n', 'spec:\n  completions: 3\n  colour: red\n');
    await text.fill(pasted);
    await page.getByText(/unknown field "spec.colour"/).waitFor();
    assert.ok(await page.getByLabel('Completions').isDisabled());
    await text.fill(pasted.replace('  colour: red\n', ''));
    await page.getByText('kiln would accept this').waitFor();
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await page.waitForURL('**/#/jobs/default/pi');
    assert.equal((await server.job('pi')).spec.completions, 3);

    await open('#/new?module=pi');
    await text.fill('nonsense: [');
    await page.getByText('One thing to put right').waitFor();
    await page.getByRole('button', { name: 'Back to the form' }).click();
    assert.match(await text.inputValue(), /image: pi/);
    assert.ok(await page.getByLabel('Completions').isEnabled());
  },
);

scene('with a schedule it becomes a CronJob, told in words', { allow: REFUSALS }, async ({ server, page, open }) => {
  await server.pushExamples('pi');
  await open('#/new?module=pi');
  await page.getByLabel('On a schedule, as a CronJob').check();
  const schedule = page.getByLabel('Schedule', { exact: true });
  await schedule.fill('0 9 * * 1-8');
  await page.locator('.error').getByText('end of range (8) above maximum (6): 1-8').waitFor();
  await schedule.fill('0 9 * * 1-5');
  await page.getByLabel('Time zone').fill('Europe/Berlin');
  await page.getByText(/every weekday at 09:00, Europe\/Berlin; next (Mon|Tue|Wed|Thu|Fri)/).waitFor();
  await page.getByText('kiln would accept this').waitFor();
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.waitForURL('**/#/cronjobs/default/pi');
  const { spec } = await server.get('/apis/batch/v1/namespaces/default/cronjobs/pi');
  assert.deepEqual([spec.schedule, spec.timeZone], ['0 9 * * 1-5', 'Europe/Berlin']);
  await page.getByText('Every weekday at 09:00, Europe/Berlin').waitFor();
});

scene('a module that nobody has uploaded is told before it is run', { allow: REFUSALS }, async ({ page, open }) => {
  await open('#/new');
  await page.getByText('Not complete yet').waitFor();
  await page.getByLabel('Module', { exact: true }).fill('nobody/knows:it');
  await page.getByText('No module nobody/knows:it has been uploaded').waitFor();
  assert.equal(await page.getByLabel('Name of the Job').inputValue(), 'knows');
  await verdict(page).getByText('kiln would accept this').waitFor();
});
