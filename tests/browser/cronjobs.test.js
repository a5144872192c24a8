// The page "CronJobs" and that of one CronJob.

import assert from 'node:assert/strict';

import { scene } from './harness/scene.js';
import { job } from './harness/server.js';
import { until } from './harness/wait.js';

/** @param {string} name @param {Record<string, unknown>} spec */
function cronJob(name, spec) {
  const { spec: template } = job(name, 'hello', ['hello', name]);
  return JSON.stringify({
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name },
    spec: { ...spec, jobTemplate: { spec: template } },
  });
}

const AT = '/apis/batch/v1/namespaces/default/cronjobs';

scene('schedules stand in words, with the next run by their own clock', {}, async ({ server, page, open }) => {
  await server.ask('POST', AT, cronJob('report', { schedule: '0 9 * * 1-5', timeZone: 'Asia/Kolkata' }));
  await server.ask('POST', AT, cronJob('ticker', { schedule: '@every 1h' }));
  await server.ask('POST', AT, cronJob('leap', { schedule: '0 0 31 2 *', timeZone: 'UTC' }));
  await server.ask('POST', AT, cronJob('asleep', { schedule: '@daily', timeZone: 'UTC', suspend: true }));
  await open('#/cronjobs');
  const grid = page.getByRole('grid', { name: 'CronJobs' });
  const row = (/** @type {string} */ name) =>
    grid.getByRole('row').filter({ has: page.getByRole('link', { name, exact: true }) });
  await row('report').getByText('every weekday at 09:00').waitFor();
  await row('report').getByText('0 9 * * 1-5 · Asia/Kolkata').waitFor();
  assert.match(await row('report').innerText(), /in .*\n.*(Mon|Tue|Wed|Thu|Fri) \d+ \w+, 09:00/);
  assert.match(await row('ticker').innerText(), /every hour[^]*in (59 m|1 h)/);
  assert.match(await row('leap').innerText(), /never/);
  assert.match(await row('asleep').innerText(), /–[^]*Suspended/);
  await page.getByPlaceholder('Filter by name or schedule').fill('weekday');
  await page.getByText('1 of 4 CronJobs').waitFor();
  assert.equal(
    await grid
      .getByRole('row')
      .filter({ has: page.getByRole('link') })
      .count(),
    1,
  );
  // Made and deleted elsewhere, seen here.
  await page.getByPlaceholder('Filter by name or schedule').fill('');
  await server.ask('DELETE', `${AT}/leap`);
  await page.getByText('3 CronJobs').waitFor();
});

scene('a CronJob is run now, suspended, resumed and deleted', {}, async ({ server, page, open }) => {
  await server.pushExamples('hello');
  await server.ask(
    'POST',
    AT,
    cronJob('report', { schedule: '0 9 1 1 *', timeZone: 'Europe/Berlin', successfulJobsHistoryLimit: 5 }),
  );
  await open('#/cronjobs/default/report');
  await page.getByText('Every year on 1 January at 09:00, Europe/Berlin').waitFor();
  const runs = page.getByRole('region', { name: 'Next runs' }).getByRole('listitem');
  assert.equal(await runs.count(), 5);
  assert.match(await runs.first().innerText(), /1 Jan, 09:00/);

  await page.getByRole('button', { name: 'Run now' }).click();
  await page.waitForURL(/#\/jobs\/default\/report-\w{5}$/);
  const [made] = (await server.get('/apis/batch/v1/namespaces/default/jobs')).items;
  assert.equal(made.metadata.annotations['cronjob.kubernetes.io/instantiate'], 'manual');
  assert.deepEqual(
    made.metadata.ownerReferences.map((/** @type {any} */ owner) => [owner.kind, owner.name, owner.controller]),
    [['CronJob', 'report', true]],
  );
  assert.equal((await server.ended(made.metadata.name)).type, 'Complete');

  await open('#/cronjobs/default/report');
  const own = page.getByRole('region', { name: 'Its Jobs' });
  await own.getByRole('link', { name: made.metadata.name }).waitFor();
  await own.getByText('succeeded').waitFor();

  await page.getByRole('button', { name: 'Suspend' }).click();
  await page.getByText('None while it is suspended').waitFor();
  assert.equal((await server.get(`${AT}/report`)).spec.suspend, true);
  await page.getByRole('button', { name: 'Resume' }).click();
  await page.getByText('None while it is suspended').waitFor({ state: 'detached' });
  assert.equal((await server.get(`${AT}/report`)).spec.suspend, false);

  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText('No CronJobs yet').waitFor();
  await until(
    'its Jobs go with it',
    async () => (await server.get('/apis/batch/v1/namespaces/default/jobs')).items.length === 0,
  );
});

scene(
  'a CronJob that is not there is told to be missing, and comes when it is made',
  {},
  async ({ server, page, open }) => {
    await open('#/cronjobs/default/later');
    await page.getByText('There is no CronJob later').waitFor();
    await server.ask('POST', AT, cronJob('later', { schedule: '@hourly', timeZone: 'UTC' }));
    await page.getByText('Every hour, UTC').waitFor();
  },
);

scene(
  "a schedule without a zone runs by the server's clock, and its page says so",
  { server: { env: { TZ: 'Asia/Kolkata' } }, context: { timezoneId: 'America/New_York' } },
  async ({ server, page, open }) => {
    await server.ask('POST', AT, cronJob('local', { schedule: '30 4 * * *' }));
    await open('#/cronjobs/default/local');
    await page.getByText("Every day at 04:30, Asia/Kolkata (the server's)").waitFor();
    const first = page.getByRole('region', { name: 'Next runs' }).locator('time').first();
    const metrics = /** @type {string} */ (await server.get('/metrics'));
    const [, told] = /^kube_cronjob_next_schedule_time\{.*?\} (\S+)$/m.exec(metrics) ?? [];
    assert.equal(Date.parse((await first.getAttribute('datetime')) ?? '') / 1000, Number(told));
    assert.match(await first.innerText(), /, 04:30$/);
  },
);
