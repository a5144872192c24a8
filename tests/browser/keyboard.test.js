// The dashboard without a mouse, and on a phone.

import assert from 'node:assert/strict';

import { scene } from './harness/scene.js';
import { job } from './harness/server.js';
import { until } from './harness/wait.js';

/** What has the focus, in words. @param {import('playwright-core').Page} page */
const focused = (page) =>
  page.evaluate(() => {
    const element = document.activeElement;
    return `${element?.tagName} ${element?.getAttribute('aria-label') ?? element?.id ?? ''}`.trim();
  });

scene('everything is reached by keyboard', {}, async ({ server, page, open }) => {
  await server.pushExamples('exit-code', 'hello');
  await server.createJob(job('aaa', 'exit-code', ['exit-code', '3'], { backoffLimit: 0 }));
  await server.ended('aaa');
  await server.createJobs(['bbb', 'ccc'].map((name) => job(name, 'none', ['x'], { suspend: true })));
  await open();
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  // The first stop leads past the navigation.
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'Skip to the content');
  await page.keyboard.press('Enter');
  assert.equal(await focused(page), 'MAIN main');
  assert.ok(page.url().includes('#'), 'the skip link is no page of its own');

  // g j goes to the Jobs, / into the filter, j and k over the rows, Enter opens.
  await page.keyboard.press('g');
  await page.keyboard.press('j');
  await page.waitForURL('**/#/jobs');
  const grid = page.getByRole('grid', { name: 'Jobs' });
  await grid.getByRole('link', { name: 'aaa' }).waitFor();
  await page.keyboard.press('/');
  assert.match(await focused(page), /^INPUT .*ilter/);
  await page.keyboard.type('state:failed');
  await until('one is left', async () => (await grid.getAttribute('aria-rowcount')) === '2');
  await page.keyboard.press('Escape');
  await page.keyboard.press('j');
  assert.equal(await focused(page), 'DIV Jobs');
  const active = await grid.evaluate(
    (element) => document.getElementById(element.getAttribute('aria-activedescendant') ?? '')?.textContent,
  );
  assert.match(active ?? '', /aaa/);
  await page.keyboard.press('Enter');
  await page.waitForURL('**/#/jobs/default/aaa');
  await page.getByRole('heading', { name: 'aaa' }).waitFor();

  // Tabs by arrows; the pod by Enter on the map; up by Escape.
  await page.getByRole('tab', { name: 'Overview' }).focus();
  await page.keyboard.press('ArrowRight');
  await page.getByRole('grid', { name: 'Pods of the Job' }).waitFor();
  await page.keyboard.press('ArrowLeft');
  await page.getByRole('application').focus();
  await page.keyboard.press('f');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/#/pods/default/aaa-*');
  await page.getByRole('log', { name: 'Log' }).waitFor();
  await page.keyboard.press('Escape');
  await page.waitForURL('**/#/jobs/default/aaa');
  await page.getByRole('tab', { name: 'Overview' }).waitFor();
  await page.keyboard.press('Escape');
  await page.waitForURL('**/#/jobs');

  // The keys are told, and a dialog gives the focus back.
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keyboard' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.keyboard.press('n');
  await page.waitForURL('**/#/new');
  await page.getByLabel('Module', { exact: true }).focus();
  await page.keyboard.type('hello');
  await page.getByText('kiln would accept this').waitFor();
  // Letters in a field are letters.
  assert.ok(page.url().endsWith('#/new'));
  await page.getByRole('button', { name: 'Run', exact: true }).focus();
  await page.keyboard.press('Enter');
  await page.waitForURL('**/#/jobs/default/hello');
  assert.equal((await server.ended('hello')).type, 'Complete');
});

scene('rows are selected and deleted by keyboard', {}, async ({ server, page, open }) => {
  await server.createJobs(['aaa', 'bbb', 'ccc'].map((name) => job(name, 'none', ['x'], { suspend: true })));
  await open('#/jobs?sort=name');
  const grid = page.getByRole('grid', { name: 'Jobs' });
  await until('all are there', async () => (await grid.getAttribute('aria-rowcount')) === '4');
  await grid.focus();
  await page.keyboard.press('Control+a');
  await page.getByRole('button', { name: 'Delete' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  // The dialog begins at what it asks about, and Enter there is the answer.
  await page.keyboard.press('Enter');
  await until(
    'they are gone',
    async () => (await server.get('/apis/batch/v1/namespaces/default/jobs')).items.length === 0,
  );
});

scene(
  'on a phone the way is the same',
  { context: { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true } },
  async ({ server, page, open }) => {
    await server.pushExamples('exit-code');
    await server.createJob(job('broken', 'exit-code', ['exit-code', '3'], { backoffLimit: 0 }));
    await server.ended('broken');
    await open();
    await page.getByRole('navigation', { name: 'Views' }).getByRole('link', { name: 'Jobs', exact: true }).tap();
    await page.getByRole('grid', { name: 'Jobs' }).getByText('broken').first().tap();
    await page.getByRole('heading', { name: 'broken' }).waitFor();
    await page
      .locator('.notice')
      .getByText(/exit code 3/)
      .first()
      .waitFor();
    await page.getByRole('link', { name: 'Open the pod' }).tap();
    await page.getByRole('log', { name: 'Log' }).waitFor();
    // What is touched is large enough for a finger, as WCAG 2.2 wants it: 24 px.
    const small = await page.evaluate(() =>
      [...document.querySelectorAll('button, nav a, select')]
        .map((element) => ({ element, box: element.getBoundingClientRect() }))
        .filter(({ box }) => box.width > 0 && (box.width < 24 || box.height < 24))
        .map(({ element, box }) => `${element.textContent} ${box.width}×${box.height}`),
    );
    assert.deepEqual(small, []);
  },
);
