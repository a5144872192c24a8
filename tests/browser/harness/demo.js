// A server with something of everything, for the pictures in the documentation and for looks at whole pages: Jobs in each
// state, failures of several kinds, CronJobs, modules.

import { EMPTY_MODULE, FRAMES_MODULE } from './guests.js';
import { job } from './server.js';
import { until } from './wait.js';

/** @typedef {import('./server.js').Server} Server */
/** @typedef {import('./server.js').KubeObject} KubeObject */

/** Jobs of which it is known how they end, and why. @type {Record<string, { ends: string, reason?: string }>} */
const ENDS = {
  'pi-2000-digits': { ends: 'Complete' },
  'greet-team': { ends: 'Complete' },
  'import-2026-11-25': { ends: 'Complete' },
  'import-2026-11-26': { ends: 'Failed', reason: 'BackoffLimitExceeded' },
  'train-model': { ends: 'Failed', reason: 'BackoffLimitExceeded' },
  'solve-collatz': { ends: 'Failed' },
  'render-frames': { ends: 'Failed', reason: 'FailedIndexes' },
};

/** @param {KubeObject} made @param {Record<string, string>} labels */
function labelled(made, labels) {
  made.metadata.labels = labels;
  return made;
}

/** @param {KubeObject} made @param {Record<string, string>} limits */
function limited(made, limits) {
  made.spec.template.spec.containers[0].resources = { limits };
  return made;
}

/** @returns {KubeObject[]} */
function jobs() {
  const index = '$(JOB_COMPLETION_INDEX)';
  const indexed = (/** @type {number} */ completions, /** @type {number} */ parallelism) => ({
    completions,
    parallelism,
    completionMode: 'Indexed',
  });
  return [
    labelled(job('pi-2000-digits', 'pi', ['pi', '2000'], { completions: 5, parallelism: 2 }), { team: 'math' }),
    labelled(job('greet-team', 'hello', ['hello', 'Ada', 'Grace', 'Barbara']), { team: 'web' }),
    labelled(job('import-2026-11-25', 'chatty', ['chatty', '400']), { team: 'data', nightly: 'true' }),
    labelled(job('import-2026-11-26', 'exit-code', ['exit-code', '3'], { backoffLimit: 0 }), {
      team: 'data',
      nightly: 'true',
    }),
    labelled(limited(job('train-model', 'memory-hog', ['memory-hog', '64'], { backoffLimit: 0 }), { memory: '32Mi' }), {
      team: 'math',
    }),
    labelled(job('solve-collatz', 'infinite-loop', ['infinite-loop'], { activeDeadlineSeconds: 1, backoffLimit: 0 }), {
      team: 'math',
    }),
    labelled(
      job('render-frames', 'studio/render:2.1', ['render', index], { ...indexed(400, 16), backoffLimitPerIndex: 0 }),
      { team: 'studio' },
    ),
    labelled(job('encode-clips', 'sleep', ['sleep', index], indexed(240, 60)), { team: 'studio' }),
    labelled(job('crawl', 'sleep', ['sleep', '900'], { completions: 8, parallelism: 3 }), { team: 'data' }),
    labelled(job('await-tool', 'studio/denoise:1.0', ['denoise']), { team: 'studio' }),
    labelled(job('reindex', 'hello', ['hello'], { suspend: true, completions: 12 }), { team: 'data' }),
  ];
}

/** @returns {KubeObject[]} */
function cronJobs() {
  const made = (
    /** @type {string} */ name,
    /** @type {string} */ image,
    /** @type {string} */ schedule,
    /** @type {Record<string, unknown>} */ spec = {},
  ) => ({
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name },
    spec: { schedule, ...spec, jobTemplate: { spec: job(name, image, [image, name]).spec } },
  });
  return [
    made('weekday-report', 'hello', '0 9 * * 1-5', { timeZone: 'Europe/Berlin' }),
    made('nightly-backup', 'hello', '30 2 * * *', { timeZone: 'Europe/Berlin', concurrencyPolicy: 'Forbid' }),
    made('health-probe', 'hello', '@every 5s', { successfulJobsHistoryLimit: 2 }),
    made('invoices', 'pi', '0 6 1,15 * *', { timeZone: 'America/New_York' }),
    made('quarter-hour', 'hello', '*/15 8-18 * * 1-5', { timeZone: 'UTC', suspend: true }),
  ];
}

/** Fills a new server, and waits until what ends has ended. @param {Server} server */
export async function furnish(server) {
  await server.pushExamples('pi', 'hello', 'chatty', 'exit-code', 'memory-hog', 'infinite-loop', 'sleep');
  await server.push('studio/render:2.1', FRAMES_MODULE);
  await server.push('empty', EMPTY_MODULE);
  for (const made of jobs()) {
    await server.createJob(made);
  }
  for (const made of cronJobs()) {
    await server.ask('POST', '/apis/batch/v1/namespaces/default/cronjobs', JSON.stringify(made), 'application/json');
  }
  for (const [name, { ends, reason }] of Object.entries(ENDS)) {
    const { type, reason: told } = await server.ended(name);
    if (type !== ends || (reason !== undefined && told !== reason)) {
      throw new Error(`${name} ended as ${type}, ${told}`);
    }
  }
  await until('a CronJob has run', async () => {
    const { status } = await server.get('/apis/batch/v1/namespaces/default/cronjobs/health-probe');
    return status?.lastSuccessfulTime;
  });
}

/** The pod of a Job's index, or any pod of a Job without indexes. @param {Server} server @param {string} name @param {number} [index] */
export async function podOf(server, name, index) {
  const of = index === undefined ? '' : `,batch.kubernetes.io/job-completion-index=${index}`;
  const list = await server.get(
    `/api/v1/namespaces/default/pods?labelSelector=${encodeURIComponent(`batch.kubernetes.io/job-name=${name}${of}`)}`,
  );
  return /** @type {string} */ (list.items[0].metadata.name);
}

/** Every page of the dashboard, once it is furnished. @param {Server} server @returns {Promise<Record<string, string>>} */
export async function pages(server) {
  return {
    overview: '#/',
    jobs: '#/jobs',
    job: '#/jobs/default/render-frames',
    'job-pods': '#/jobs/default/render-frames?tab=pods&pods=failed',
    'job-yaml': '#/jobs/default/render-frames?tab=yaml',
    'job-running': '#/jobs/default/encode-clips',
    pod: `#/pods/default/${await podOf(server, 'render-frames', 29)}`,
    'pod-log': `#/pods/default/${await podOf(server, 'import-2026-11-25')}`,
    'pod-details': `#/pods/default/${await podOf(server, 'render-frames', 12)}?tab=details`,
    'new-job': '#/new?module=pi',
    cronjobs: '#/cronjobs',
    cronjob: '#/cronjobs/default/weekday-report',
    modules: '#/modules',
    events: '#/events',
  };
}

/** Waits until a page shows what there is, and nothing of it is on its way. @param {import('playwright-core').Page} page */
export async function settled(page) {
  await page.locator('#view h1').first().waitFor();
  await page.locator('#connection[data-state=live]').waitFor();
  await page.waitForFunction(
    () =>
      !/Loading|Looking for/.test(/** @type {HTMLElement | null} */ (document.querySelector('#view'))?.innerText ?? ''),
  );
  await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
}
