// The page that one sees first: what runs now, and what has failed of late.

import { scene } from './harness/scene.js';
import { job } from './harness/server.js';
import assert from 'node:assert/strict';

scene('why a Job failed is seen in two clicks from the Overview', {}, async ({ server, page, open }) => {
  await server.pushExamples('exit-code', 'hello', 'memory-hog');
  await server.createJob(job('fine', 'hello', ['hello']));
  await server.createJob(job('broken', 'exit-code', ['exit-code', '3'], { backoffLimit: 0 }));
  assert.equal((await server.ended('broken')).reason, 'BackoffLimitExceeded');
  await open();
  const failures = page.getByRole('region', { name: /failures/i });
  await failures.getByText('broken').first().waitFor();
  // The first click: the Job, which says that a pod failed and how.
  await failures
    .getByRole('link', { name: /broken/ })
    .first()
    .click();
  await page.getByRole('heading', { name: 'broken', exact: true }).waitFor();
  await page
    .locator('.notice')
    .getByText(/exit code 3/)
    .first()
    .waitFor();
  // The second: the pod, with its exit code and what it wrote.
  await page.getByRole('link', { name: 'Open the pod' }).click();
  await page
    .getByText(/Error, exit code 3/)
    .first()
    .waitFor();
  await page.getByRole('log', { name: 'Log' }).waitFor();
});
