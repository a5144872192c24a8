// Whatever a guest or a user writes is text: in a log, a name, a label, a message.

import assert from 'node:assert/strict';

import { scene } from './harness/scene.js';
import { job } from './harness/server.js';

const EVIL = [
  '<img src=x onerror="document.title=\'owned\'">',
  '<script>document.title="owned"</script>',
  '</span></div><iframe src="javascript:alert(1)"></iframe>',
  '\u001b[31mred\u001b[0m and \u001b[1;44mbold on blue\u001b[0m',
  '\u001b]8;;javascript:alert(1)\u0007a link\u001b]8;;\u0007',
  '\u001b]0;a title\u0007\u001b[2J\u001b[H\u001b[999;999Hgone?',
  '\u009b31mC1\u0000nul\u0008back\u007f',
  '\u202eright to left\u202c',
  '&lt;b&gt; &amp;amp; ${document.title} {{7*7}}',
];

/** Everything in the page that could have become markup. @param {import('playwright-core').Page} page */
const foreign = (page) =>
  page.evaluate(() => ({
    title: document.title,
    elements: document.querySelectorAll('#view :is(script, iframe, img, object, embed, style, base, form[action])')
      .length,
    handlers: [...document.querySelectorAll('#view *')].filter((element) =>
      element.getAttributeNames().some((name) => name.startsWith('on')),
    ).length,
    links: [...document.querySelectorAll('a')]
      .map((link) => link.protocol)
      .filter((protocol) => !/^(https?|blob):$/.test(protocol)),
  }));

scene('a log full of markup and escape sequences stays text', {}, async ({ server, page, open }) => {
  await server.pushExamples('hello');
  await server.createJob(job('evil', 'hello', ['hello', 'x'.repeat(20_000), ...EVIL]));
  assert.equal((await server.ended('evil')).type, 'Complete');
  const [pod] = (await server.get('/api/v1/namespaces/default/pods')).items;
  await open(`#/pods/default/${pod.metadata.name}`);
  const log = page.getByRole('log', { name: 'Log' });
  await log.getByText('gone?').waitFor();
  const shown = (await log.locator('.what').allTextContents()).join('\n');
  assert.ok(shown.includes('<img src=x onerror="document.title=\'owned\'">'), shown.slice(0, 500));
  assert.ok(shown.includes('<script>document.title="owned"</script>'));
  assert.ok(
    shown.includes('a link') && shown.includes('${document.title} {{7*7}}') && shown.includes('&lt;b&gt; &amp;amp;'),
  );
  assert.ok(!/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/.test(shown), 'no control character is left');
  // Colours are colours, and nothing else of an escape sequence is seen.
  const red = log.locator('span', { hasText: /^red$/ });
  const colours = await red.evaluate((element) => [
    getComputedStyle(element).color,
    getComputedStyle(/** @type {Element} */ (element.parentElement)).color,
  ]);
  assert.notEqual(colours[0], colours[1]);
  assert.ok(!shown.includes('[31m') && !shown.includes(']8;;'), 'no rest of an escape sequence is left');
  const found = await foreign(page);
  assert.deepEqual({ ...found, title: '' }, { title: '', elements: 0, handlers: 0, links: [] });
  assert.ok(found.title.startsWith(pod.metadata.name), found.title);

  // It is searched as what it is, and downloaded as it was written.
  await page.getByLabel('Search in the log').fill('onerror=');
  await log.locator('mark', { hasText: 'onerror=' }).first().waitFor();
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Download' }).click(),
  ]);
  const stream = await download.createReadStream();
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  const bytes = Buffer.concat(pieces).toString('utf8');
  assert.equal(bytes, await server.get(`/api/v1/namespaces/default/pods/${pod.metadata.name}/log`));
  assert.ok(bytes.includes('\u001b[31mred'));
});

scene(
  'markup in labels, annotations, environment and messages stays text on every page',
  { allow: [/status of (400|422)/] },
  async ({ server, page, open }) => {
    await server.pushExamples('exit-code');
    const evil = EVIL[0] ?? '';
    const made = job('evil', 'exit-code', ['exit-code', '1', evil], { backoffLimit: 0 });
    made.metadata.annotations = { 'example.com/note': evil };
    made.spec.template.spec.containers[0].env = [{ name: 'NOTE', value: EVIL[1] }];
    made.spec.template.spec.containers[0].workingDir = '/';
    await server.createJob(made);
    await server.ended('evil');
    const cron = {
      spec: { schedule: '@daily', jobTemplate: { metadata: { annotations: { note: evil } }, spec: made.spec } },
    };
    await server.ask(
      'POST',
      '/apis/batch/v1/namespaces/default/cronjobs',
      JSON.stringify({ apiVersion: 'batch/v1', kind: 'CronJob', metadata: { name: 'evil' }, ...cron }),
    );
    await server.createJob(job('waits', evil, ['x']));
    for (const at of [
      '#/',
      '#/jobs',
      '#/jobs/default/evil',
      '#/jobs/default/evil?tab=yaml',
      '#/jobs/default/waits',
      '#/cronjobs',
      '#/cronjobs/default/evil',
      '#/modules',
      '#/events',
      `#/new?module=${encodeURIComponent(evil)}`,
      `#/jobs/default/${encodeURIComponent(evil)}`,
    ]) {
      await open(at);
      await page.reload();
      await page.locator('#view h1, #view .empty').first().waitFor();
      await page.locator('#connection:not([data-state=loading])').waitFor();
      const found = await foreign(page);
      assert.deepEqual({ ...found, title: '' }, { title: '', elements: 0, handlers: 0, links: [] }, at);
      assert.notEqual(found.title, 'owned', at);
    }
  },
);
