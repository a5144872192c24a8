// One CronJob: its schedule in words, its next runs, the Jobs that it has made, its YAML.

import { pathOf } from '../lib/api.js';
import { jobs as allJobs } from '../lib/cluster.js';
import { cronRecord, inWords, upcoming } from '../lib/cronjob.js';
import { fill, h, text } from '../lib/dom.js';
import { durationOf } from '../lib/job.js';
import { ago, duration, exactly, serverNow } from '../lib/time.js';
import { badge, button, card, empty, facts } from '../lib/ui.js';
import { Informer } from '../lib/watch.js';
import { emit } from '../lib/yaml.js';
import { removeCron, runNow, setSuspended } from './cronjob_actions.js';
import { jobHref } from './index.js';
import { inZone, serverZone } from './schedule.js';

/** @typedef {import('../lib/cronjob.js').CronRecord} CronRecord */

const RUNS = 8;
const JOBS = 50;
/** @type {Record<string, string>} */
const POLICIES = {
  Allow: 'another is started beside it',
  Forbid: 'the next waits until it has ended',
  Replace: 'it is deleted for the next',
};

/** @param {import('./index.js').Context} context */
export async function showOne({ root, params: [namespace = '', name = ''], signal, title }) {
  title(`CronJob ${name}`);
  const zone = await serverZone();
  /** @type {Informer<CronRecord>} */
  const crons = new Informer({ path: pathOf('cronjobs', namespace), query: { fieldSelector: `metadata.name=${name}` }, reduce: cronRecord });
  const jobs = allJobs.acquire(signal);
  const body = h('div', { class: 'stack live' });
  const actions = h('div', { class: 'actions' });
  const state = h('p', {});
  root.append(
    h('div', { class: 'head' }, h('div', { class: 'grow' }, h('div', { class: 'crumbs' }, h('a', { href: '#/cronjobs', 'data-up': true }, 'CronJobs'), ` / ${namespace}`), h('h1', {}, name), state), actions),
    body,
  );

  let drawn = -1;
  const draw = () => {
    const [cron] = crons.records.values();
    if (!cron) {
      actions.replaceChildren();
      state.replaceChildren();
      if (crons.isComplete) fill(body, empty(`There is no CronJob ${name}`, h('a', { class: 'button', href: '#/cronjobs' }, 'To the CronJobs')));
      return;
    }
    if (drawn === crons.version) return drawJobs(cron);
    drawn = crons.version;
    fill(state, cron.suspended ? badge('suspended', 'Suspended') : cron.active.length > 0 ? badge('running', 'Running') : badge('none', 'Scheduled'));
    fill(
      actions,
      button('Run now', () => void runNow(cron), { icon: 'play', kind: 'primary' }),
      button(cron.suspended ? 'Resume' : 'Suspend', () => void setSuspended(cron, !cron.suspended), { icon: cron.suspended ? 'play' : 'pause' }),
      button('Delete', async () => (await removeCron(cron)) && (location.hash = '#/cronjobs'), { icon: 'trash', kind: 'danger' }),
    );
    const { spec = {} } = cron.object;
    fill(
      body,
      card(
        'Schedule',
        null,
        h('p', { class: 'sentence' }, [inWords(cron.schedule), cron.timeZone || (zone === '' ? "the server's time zone" : `${zone} (the server's)`)].join(', ')),
        facts([
          ['As written', h('code', {}, cron.schedule)],
          ['If the one before still runs', POLICIES[cron.concurrency] ?? cron.concurrency],
          ['May be late by', spec.startingDeadlineSeconds === undefined ? 'any time' : duration(spec.startingDeadlineSeconds * 1000)],
          ['Kept', `${spec.successfulJobsHistoryLimit ?? 3} complete, ${spec.failedJobsHistoryLimit ?? 1} failed`],
          ['Last run', Number.isNaN(cron.lastSchedule) ? 'not yet' : h('time', { datetime: exactly(cron.lastSchedule) }, inZone(cron.lastSchedule, cron.timeZone || zone || 'UTC'))],
          ['Last success', Number.isNaN(cron.lastSuccess) ? 'none yet' : h('time', { datetime: exactly(cron.lastSuccess) }, inZone(cron.lastSuccess, cron.timeZone || zone || 'UTC'))],
        ]),
      ),
      h('div', { class: 'columns' }, card('Next runs', null, next), card('Its Jobs', null, made)),
      card('YAML', null, h('pre', { class: 'block mono', tabIndex: 0, 'aria-label': `YAML of ${name}` }, emit(withoutManagers(cron.object)))),
    );
    drawJobs(cron);
  };

  const next = h('ol', { class: 'runs' });
  const made = h('div', {});
  /** @param {CronRecord} cron */
  const drawJobs = (cron) => {
    const now = serverNow();
    const times = upcoming(cron, zone, now, RUNS);
    const key = `${cron.suspended} ${times.join()}`;
    if (next.dataset.times !== key) {
      next.dataset.times = key;
      fill(
        next,
        cron.suspended && h('li', { class: 'muted' }, 'None while it is suspended. It would run:'),
        times.length === 0 && h('li', { class: 'muted' }, inWords(cron.schedule) === 'never' ? 'Such a date never comes' : 'The server does not say by whose clock'),
        times.map((time) => h('li', {}, h('time', { datetime: exactly(time) }, inZone(time, cron.timeZone || zone || 'UTC')), h('span', { class: 'muted', 'data-at': time }))),
      );
    }
    for (const element of next.querySelectorAll('[data-at]')) {
      element.textContent = `in ${duration(Math.ceil((Number(element.getAttribute('data-at')) - now) / 1000) * 1000)}`;
    }
    const own = [...jobs.records.values()].filter((job) => job.cron === name && job.namespace === namespace);
    own.sort((a, b) => b.created - a.created);
    const shown = own.slice(0, JOBS);
    const list = own.length + shown.map((job) => `${job.uid} ${job.state} ${job.reason}`).join();
    if (made.dataset.jobs !== list) {
      made.dataset.jobs = list;
      fill(
        made,
        shown.length === 0 ? h('p', { class: 'muted' }, 'None at the moment') : h('ul', { class: 'own-jobs' }, shown.map(jobItem)),
        own.length > JOBS && h('p', {}, h('a', { href: `#/jobs?q=${encodeURIComponent(`cron:${name}`)}` }, `All ${own.length}`)),
      );
    }
    made.querySelectorAll('[data-times]').forEach((element, i) => {
      const job = shown[i];
      if (job) text(element, [job.reason, duration(durationOf(job, now)), `${ago(job.created, now)} ago`].filter((part) => part !== '' && part !== '–').join(' · '));
    });
  };

  crons.subscribe(draw, signal);
  jobs.subscribe(draw, signal);
  const timer = setInterval(draw, 1000);
  signal.addEventListener('abort', () => {
    clearInterval(timer);
    crons.stop();
  });
  draw();
}

/** @param {import('../lib/job.js').JobRecord} job */
function jobItem(job) {
  return h('li', {}, badge(job.state, job.state), h('a', { href: jobHref(job.namespace, job.name) }, job.name), h('span', { class: 'muted', 'data-times': true }));
}

/** @param {any} object */
function withoutManagers({ metadata: { managedFields: _, ...metadata }, ...object }) {
  return { apiVersion: object.apiVersion, kind: object.kind, metadata, spec: object.spec, status: object.status };
}
