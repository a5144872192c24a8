// The page "Modules".

import assert from 'node:assert/strict';

import { scene } from './harness/scene.js';
import { job } from './harness/server.js';
import { EMPTY_MODULE } from './harness/guests.js';
import { until } from './harness/wait.js';

scene('modules are listed with what they are, what they use and who uses them', {}, async ({ server, page, open }) => {
  await server.pushExamples('pi', 'hello');
  await server.push('nothing:1', EMPTY_MODULE);
  const { digest } = await server.get('/modules/pi');
  await server.createJob(job('by-name', 'pi', ['pi', '10']));
  await server.createJob(job('by-digest', `elsewhere@${digest}`, ['pi', '10'], { suspend: true }));
  await open('#/modules');
  const grid = page.getByRole('grid', { name: 'Modules' });
  const row = (/** @type {string} */ name) =>
    grid.getByRole('row').filter({ has: page.getByText(name, { exact: true }) });
  await row('pi').getByText('2 Jobs').waitFor();
  assert.match(await row('pi').innerText(), /Command[^]*72\.1 KiB[^]*arguments/);
  assert.match(await row('nothing:1').innerText(), /nothing of the host[^]*nobody/);
  await page.getByText('3 modules').waitFor();
  await page.getByLabel('Filter modules').fill('hel');
  await page.getByText('1 of 3 modules').waitFor();
  await page.getByLabel('Filter modules').fill('');

  await row('pi').click();
  const dialog = page.getByRole('dialog', { name: 'pi' });
  await dialog.getByText(digest).waitFor();
  await dialog.getByText('wasi_snapshot_preview1').waitFor();
  assert.match(await dialog.innerText(), /fd_write/);
  await dialog.getByRole('link', { name: 'by-digest' }).waitFor();
  await dialog.getByRole('link', { name: 'New Job' }).click();
  await page.waitForURL('**/#/new?module=pi');
  assert.equal(await page.getByLabel('Module', { exact: true }).inputValue(), 'pi');
  // Uploaded elsewhere, seen here.
  await open('#/modules');
  await page.getByText('3 modules').waitFor();
  await server.push('late', EMPTY_MODULE);
  await row('late').waitFor();
});

scene(
  'a module is deleted, and one that is in use only if one insists',
  { allow: [/status of 409/] },
  async ({ server, page, open }) => {
    await server.pushExamples('sleep', 'hello');
    await server.createJob(job('busy', 'sleep', ['sleep', '600']));
    await open('#/modules');
    const dialog = page.getByRole('dialog');
    await page.getByRole('button', { name: 'Delete hello' }).click();
    await dialog.getByRole('button', { name: 'Delete', exact: true }).click();
    await page.getByText('1 module,').waitFor();
    const names = async () => (await server.get('/modules')).map((/** @type {any} */ module) => module.name);
    assert.deepEqual(await names(), ['sleep']);

    await page.getByRole('button', { name: 'Delete sleep' }).click();
    await dialog.getByRole('button', { name: 'Delete', exact: true }).click();
    await dialog.getByText('sleep is in use').waitFor();
    await dialog.getByText(/busy/).waitFor();
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    assert.deepEqual(await names(), ['sleep']);
    await page.getByRole('button', { name: 'Delete sleep' }).click();
    await dialog.getByRole('button', { name: 'Delete', exact: true }).click();
    await dialog.getByRole('button', { name: 'Delete it nevertheless' }).click();
    await page.getByText('No modules yet').waitFor();
    await until('it is gone', async () => (await names()).length === 0);
  },
);
