// The columns of the table of Jobs.

import { sparkline } from '../lib/chart.js';
import { h, set, text } from '../lib/dom.js';
import { percent, plural } from '../lib/format.js';
import {
  JOB_STATES,
  JOB_WORDS,
  completionsOf,
  durationInWords,
  durationOf,
  inWords,
  progressOf,
  summaryOf,
} from '../lib/job.js';
import { ago, exactly } from '../lib/time.js';
import { badge, progressBar, setBadge } from '../lib/ui.js';
import { cronHref, jobHref } from './index.js';

/** @typedef {import('../lib/job.js').JobRecord} JobRecord */

const text_ = (/** @type {string} */ a, /** @type {string} */ b) => (a < b ? -1 : a > b ? 1 : 0);
/** Numbers, what is none last. @type {(a: number, b: number) => number} */
const number = (a, b) => (Number.isNaN(a) ? (Number.isNaN(b) ? 0 : 1) : Number.isNaN(b) ? -1 : a - b);
const rank = new Map(JOB_STATES.map((state, i) => [state, i]));

/**
 * @param {string} namespace if only one is shown
 * @param {() => Map<string, JobRecord[]>} runs
 * @returns {import('../lib/table.js').Column<JobRecord>[]}
 */
export function columns(namespace, runs) {
  return [
    {
      id: 'name',
      label: 'Job',
      width: 'minmax(180px, 2fr)',
      phone: 'minmax(0, 1fr)',
      compare: (a, b) => text_(a.name, b.name) || text_(a.namespace, b.namespace),
      make: (cell) => {
        const link = h('a', { tabIndex: -1 });
        const of = h('span', { class: 'muted small wide' });
        const state = badge('none', '', 'phone-badge');
        const more = h('span', {});
        cell.append(
          h('span', { class: 'name-line truncate' }, link, ' ', of),
          h('span', { class: 'sub phone' }, state, ' ', more),
        );
        return (job, now) => {
          text(link, job.name);
          if (link.getAttribute('href') !== jobHref(job.namespace, job.name))
            link.setAttribute('href', jobHref(job.namespace, job.name));
          link.title = job.name;
          text(of, namespace ? '' : job.namespace);
          setBadge(state, job.state, JOB_WORDS[job.state]);
          text(more, ` · ${completionsOf(job)} · ${durationInWords(job, now)} · ${ago(job.created, now)}`);
        };
      },
    },
    {
      id: 'state',
      label: 'State',
      width: '108px',
      compare: (a, b) => (rank.get(a.state) ?? 0) - (rank.get(b.state) ?? 0),
      make: (cell) => {
        const element = badge('none', '');
        cell.append(element);
        return (job) => setBadge(element, job.state, JOB_WORDS[job.state]);
      },
    },
    {
      id: 'why',
      label: 'What',
      width: 'minmax(140px, 2.4fr)',
      make: (cell) => {
        const words = h('span', { class: 'muted' });
        cell.append(words);
        return (job) => {
          text(words, summaryOf(job));
          words.title = job.message || inWords(job.reason);
        };
      },
    },
    {
      id: 'progress',
      label: 'Progress',
      width: '120px',
      compare: (a, b) => progressOf(a) - progressOf(b),
      make: (cell) => {
        const bar = progressBar('Pods that succeeded');
        const words = h('span', { class: 'small muted' });
        cell.append(h('div', { class: 'progress-cell' }, bar.element, words));
        return (job) => {
          const whole = Math.max(job.completions ?? job.parallelism, 1);
          bar.update(
            progressOf(job),
            job.state !== 'running' ? 0 : Math.min(job.active / whole, 1 - progressOf(job)),
            job.state === 'failed' ? Math.min(Math.max(job.failed, 1) / whole, 1 - progressOf(job)) : 0,
          );
          text(words, completionsOf(job));
          words.title = percent(job.succeeded, whole);
        };
      },
    },
    {
      id: 'activity',
      label: 'Activity',
      width: '76px',
      make: (cell) => {
        const line = sparkline();
        cell.append(line.element);
        return (job, now) => {
          if (job.cron) {
            const of = (runs().get(`${job.namespace}/${job.cron}`) ?? [])
              .filter((run) => run.created <= job.created)
              .slice(-12);
            line.runs(
              of.map((run) => ({ value: durationOf(run, now) || 0, state: run.state, current: run.uid === job.uid })),
            );
            cell.title = `The last ${plural(of.length, 'run')} of ${job.cron}, by duration`;
          } else {
            line.update(rates(job.samples));
            cell.title = job.samples.length > 2 ? 'Pods that ended, over the time that this page has seen' : '';
          }
        };
      },
    },
    {
      id: 'duration',
      label: 'Duration',
      width: '84px',
      number: true,
      descendingFirst: true,
      compare: (a, b) => number(durationOf(a, Date.now()), durationOf(b, Date.now())),
      make: (cell) => (job, now) => text(cell, durationInWords(job, now)),
    },
    {
      id: 'age',
      label: 'Created',
      width: '76px',
      number: true,
      compare: (a, b) => a.created - b.created,
      descendingFirst: true,
      make: (cell) => (job, now) => {
        text(cell, ago(job.created, now));
        cell.title = exactly(job.created);
      },
    },
    {
      id: 'cron',
      label: 'CronJob',
      width: 'minmax(64px, 0.7fr)',
      compare: (a, b) => text_(a.cron || '\uffff', b.cron || '\uffff'),
      make: (cell) => {
        const link = h('a', { class: 'secondary', tabIndex: -1 });
        cell.append(link);
        return (job) => {
          text(link, job.cron);
          set(link, { href: job.cron ? cronHref(job.namespace, job.cron) : '#/jobs' });
          link.hidden = !job.cron;
        };
      },
    },
  ];
}

/** Pods per second between the samples. @param {import('../lib/job.js').Sample[]} samples */
function rates(samples) {
  const found = [];
  for (let i = 1; i < samples.length; i++) {
    found.push(
      Math.max(0, samples[i].ended - samples[i - 1].ended) /
        Math.max(0.001, (samples[i].at - samples[i - 1].at) / 1000),
    );
  }
  return found;
}
