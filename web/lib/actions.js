// What can be done with Jobs, one or ten thousand: a few at a time, with what failed and why.

import { ApiError, patch, pathOf, remove } from './api.js';
import { h, text } from './dom.js';
import { count, plural } from './format.js';
import { confirm, openDialog, toast } from './overlay.js';
import { button, progressBar } from './ui.js';

/** @typedef {import('./job.js').JobRecord} JobRecord */

/**
 * @typedef {object} Action
 * @property {string} id
 * @property {string} label
 * @property {string} icon
 * @property {string} done in words: `deleted`
 * @property {boolean} [danger]
 * @property {string} [warning]
 * @property {(job: JobRecord) => boolean} fits whether it makes sense for this Job
 * @property {string} unfit why it does not
 * @property {(job: JobRecord) => Promise<unknown>} run
 */

const isOver = (/** @type {JobRecord} */ job) => job.state === 'succeeded' || job.state === 'failed';
const path = (/** @type {JobRecord} */ job) => pathOf('jobs', job.namespace, job.name);

/** A new value each time: that is what asks for another run. @param {string} scope @param {JobRecord} job */
const rerun = (scope, job) => patch(path(job), { metadata: { annotations: { 'kiln.dev/rerun': `${scope}:${Date.now().toString(36)}` } } });

/** @type {Record<'rerunFailed' | 'rerunAll' | 'suspend' | 'resume' | 'delete', Action>} */
export const ACTIONS = {
  rerunFailed: {
    id: 'rerun-failed', label: 'Rerun failed', icon: 'again', done: 'started again',
    fits: (job) => job.state === 'failed', unfit: 'have not failed', run: (job) => rerun('rerun-failed', job),
  },
  rerunAll: {
    id: 'rerun-all', label: 'Rerun', icon: 'again', done: 'started again',
    fits: isOver, unfit: 'have not finished', run: (job) => rerun('rerun-all', job),
  },
  suspend: {
    id: 'suspend', label: 'Suspend', icon: 'pause', done: 'suspended', warning: 'Pods that run are stopped.',
    fits: (job) => !isOver(job) && job.state !== 'suspended' && job.state !== 'deleting', unfit: 'are not under way',
    run: (job) => patch(path(job), { spec: { suspend: true } }),
  },
  resume: {
    id: 'resume', label: 'Resume', icon: 'play', done: 'resumed',
    fits: (job) => job.state === 'suspended', unfit: 'are not suspended', run: (job) => patch(path(job), { spec: { suspend: false } }),
  },
  delete: {
    id: 'delete', label: 'Delete', icon: 'trash', done: 'deleted', danger: true, warning: 'Their pods and logs go with them. This cannot be undone.',
    fits: (job) => job.state !== 'deleting', unfit: 'are being deleted already',
    run: (job) => remove(path(job)).catch((error) => { if (!(error instanceof ApiError && error.code === 404)) throw error; }),
  },
};

/** Browsers open six connections to one server, and some of them are watches. */
const AT_ONCE = 3;

/**
 * Does it with each item, a few at a time; goes on after failures.
 * @template T
 * @param {T[]} items
 * @param {(item: T) => Promise<unknown>} run
 * @param {(done: number, failures: {item: T, error: unknown}[]) => void} progress
 * @param {AbortSignal} signal no new ones are begun after it
 */
export async function each(items, run, progress, signal) {
  /** @type {{item: T, error: unknown}[]} */
  const failures = [];
  let next = 0;
  let done = 0;
  const worker = async () => {
    while (next < items.length && !signal.aborted) {
      const item = items[next++];
      try {
        await run(item);
      } catch (error) {
        failures.push({ item, error });
      }
      progress(++done, failures);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return { done, failures };
}

const SHOWN = 50;

/**
 * Asks, then does it with those Jobs that it fits, and shows how that goes.
 * @param {Action} action
 * @param {JobRecord[]} all
 * @returns {Promise<boolean>} whether anything was done
 */
export async function doWith(action, all) {
  const fit = all.filter(action.fits);
  const rest = all.length - fit.length;
  if (fit.length === 0) {
    toast(`None of them: ${plural(all.length, 'Job')} ${action.unfit}.`, 'failed');
    return false;
  }
  const one = fit.length === 1 && all.length === 1;
  const what = one ? `the Job ${fit[0].name}` : plural(fit.length, 'Job');
  if (!one || action.danger) {
    const agreed = await confirm(`${action.label} ${what}?`, {
      danger: action.danger, action: one ? action.label : `${action.label} ${plural(fit.length, 'Job')}`,
      text: [
        action.warning && h('p', {}, one ? action.warning.replace('Their', 'Its').replace('them', 'it') : action.warning),
        rest > 0 && h('p', { class: 'muted' }, `${count(rest)} of the ${count(all.length)} ${action.unfit}, and are left alone.`),
        !one && h('ul', { class: 'list', tabIndex: 0, 'aria-label': 'Jobs' }, fit.slice(0, SHOWN).map((job) => h('li', {}, `${job.namespace}/${job.name}`)),
          fit.length > SHOWN && h('li', { class: 'muted' }, `and ${count(fit.length - SHOWN)} more`)),
      ],
    });
    if (!agreed) return false;
  }
  if (one) {
    try {
      await action.run(fit[0]);
      toast(`${fit[0].name}: ${action.done}`, 'succeeded');
    } catch (error) {
      toast(`${fit[0].name}: ${error instanceof Error ? error.message : error}`, 'failed');
    }
    return true;
  }
  await withProgress(action, fit);
  return true;
}

/** @param {Action} action @param {JobRecord[]} jobs */
function withProgress(action, jobs) {
  const stop = new AbortController();
  return openDialog(`${action.label}: ${plural(jobs.length, 'Job')}`, (done) => {
    const bar = progressBar('Done so far');
    const words = h('p', { role: 'status' }, `0 of ${count(jobs.length)}`);
    const problems = h('ul', { class: 'list', hidden: true, tabIndex: 0, 'aria-label': 'What failed' });
    const close = button('Stop', () => (stop.signal.aborted ? done(null) : stop.abort()));
    let told = 0;
    void each(jobs, action.run, (n, failures) => {
      bar.update((n - failures.length) / jobs.length, 0, failures.length / jobs.length);
      if (n % 10 === 0 || n === jobs.length) text(words, `${count(n)} of ${count(jobs.length)}${failures.length ? `, ${plural(failures.length, 'failure')}` : ''}`);
      while (told < failures.length && told < SHOWN) {
        const { item, error } = failures[told++];
        problems.hidden = false;
        problems.append(h('li', {}, `${item.namespace}/${item.name}: ${error instanceof Error ? error.message : error}`));
      }
    }, stop.signal).then(({ done: n, failures }) => {
      const good = n - failures.length;
      text(words, `${plural(good, 'Job')} ${action.done}${failures.length ? `, ${plural(failures.length, 'failure')}` : ''}${n < jobs.length ? `, ${count(jobs.length - n)} left alone` : ''}.`);
      stop.abort();
      text(close, 'Close');
      if (failures.length === 0 && n === jobs.length) {
        toast(`${plural(n, 'Job')} ${action.done}`, 'succeeded');
        done(null);
      }
    });
    return h('div', { class: 'body' }, words, bar.element, problems, h('div', { class: 'actions' }, close));
  }, { closable: false });
}
