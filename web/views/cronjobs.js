// CronJobs: what runs when, in words, with the next run in the schedule's own zone.

import { pathOf } from '../lib/api.js';
import { cronRecord, inWords, upcoming } from '../lib/cronjob.js';
import { h, set, text } from '../lib/dom.js';
import { plural } from '../lib/format.js';
import { Table } from '../lib/table.js';
import { ago, duration, exactly, serverNow } from '../lib/time.js';
import { badge, button, empty, icon, setBadge } from '../lib/ui.js';
import { Informer } from '../lib/watch.js';
import { removeCron, runNow, setSuspended } from './cronjob_actions.js';
import { showOne } from './cronjob.js';
import { cronHref } from './index.js';
import { inZone, serverZone } from './schedule.js';

/** @typedef {import('../lib/cronjob.js').CronRecord} CronRecord */

/** @param {import('./index.js').Context} context */
export async function show(context) {
  const { root, params, namespace, query, setQuery, signal, title } = context;
  if (params.length > 0) return showOne(context);
  title('CronJobs');
  const zone = await serverZone();
  /** @type {Informer<CronRecord>} */
  const crons = new Informer({ path: pathOf('cronjobs', namespace), reduce: cronRecord });
  const filter = h('input', { type: 'search', placeholder: 'Filter by name or schedule', 'aria-label': 'Filter CronJobs', 'data-search': true, value: query.get('q') ?? '' });
  const tally = h('span', { class: 'muted', role: 'status' });
  /** @type {Table<CronRecord>} */
  const table = new Table({
    label: 'CronJobs',
    columns: columns(zone, namespace === ''),
    key: (cron) => cron.uid,
    open: (cron) => void (location.hash = cronHref(cron.namespace, cron.name)),
    now: serverNow,
    sorted: () => draw(),
    empty: () => (crons.isComplete ? nothing(filter.value) : empty('Looking for CronJobs')),
  });
  table.setSort('name', false);

  function draw() {
    const wanted = filter.value.trim().toLowerCase();
    const all = [...crons.records.values()];
    const rows = all.filter((cron) => `${cron.name} ${cron.namespace} ${cron.schedule} ${inWords(cron.schedule)} ${cron.timeZone}`.toLowerCase().includes(wanted));
    table.setRows(rows.sort(table.compare));
    text(tally, rows.length === all.length ? plural(all.length, 'CronJob') : `${rows.length} of ${plural(all.length, 'CronJob')}`);
  }

  filter.addEventListener('input', () => {
    setQuery({ q: filter.value || null });
    draw();
  });
  crons.subscribe(draw, signal);
  const timer = setInterval(() => table.refresh(), 1000);
  signal.addEventListener('abort', () => {
    clearInterval(timer);
    crons.stop();
    table.destroy();
  });
  root.classList.add('full');
  root.append(
    h('div', { class: 'head' }, h('div', { class: 'grow' }, h('h1', {}, 'CronJobs'), tally), h('a', { class: 'button', href: '#/new?schedule=true' }, 'New CronJob')),
    h('div', { class: 'toolbar' }, h('div', { class: 'search' }, icon('search'), filter)),
    table.element,
  );
  draw();
}

/** @param {string} typed */
function nothing(typed) {
  return typed === ''
    ? empty('No CronJobs yet', h('p', {}, 'A CronJob makes a Job whenever its schedule says so.'), h('a', { class: 'button primary', href: '#/new?schedule=true' }, 'Make one'))
    : empty('No CronJob matches', h('p', {}, 'The filter looks at names, schedules and zones.'));
}

/**
 * @param {string} zone the server's
 * @param {boolean} anyNamespace
 * @returns {import('../lib/table.js').Column<CronRecord>[]}
 */
function columns(zone, anyNamespace) {
  const by = (/** @type {(cron: CronRecord) => string | number} */ of) => (/** @type {CronRecord} */ a, /** @type {CronRecord} */ b) => {
    const [x, y] = [of(a), of(b)];
    return x < y ? -1 : x > y ? 1 : 0;
  };
  const next = (/** @type {CronRecord} */ cron) => upcoming(cron, zone, serverNow(), 1)[0] ?? Infinity;
  return [
    {
      id: 'name',
      label: 'Name',
      width: 'minmax(140px, 1.4fr)',
      phone: 'minmax(0, 1fr)',
      compare: by((cron) => cron.name),
      make(cell) {
        const link = h('a', {});
        const below = h('span', { class: 'sub' });
        cell.append(link, below);
        return (cron) => {
          set(link, { href: cronHref(cron.namespace, cron.name), title: cron.name });
          text(link, cron.name);
          text(below, anyNamespace ? cron.namespace : cron.image);
        };
      },
    },
    {
      id: 'schedule',
      label: 'Schedule',
      width: 'minmax(180px, 2fr)',
      phone: 'minmax(0, 1.2fr)',
      compare: by((cron) => cron.schedule),
      make(cell) {
        const words = h('span', {});
        const below = h('span', { class: 'sub mono' });
        cell.append(words, below);
        return (cron) => {
          text(words, inWords(cron.schedule));
          text(below, `${cron.schedule}${cron.timeZone === '' ? '' : ` · ${cron.timeZone}`}`);
          set(words, { title: `${cron.schedule}${cron.timeZone === '' ? ", the server's time zone" : `, ${cron.timeZone}`}` });
        };
      },
    },
    {
      id: 'next',
      label: 'Next run',
      width: 'minmax(130px, 1fr)',
      compare: by(next),
      make(cell) {
        const at = h('span', {});
        const below = h('span', { class: 'sub' });
        cell.append(at, below);
        return (cron, now) => {
          const [time] = upcoming(cron, zone, now, 1);
          if (cron.suspended || time === undefined) {
            text(at, cron.suspended ? 'not while suspended' : inWords(cron.schedule) === 'never' ? 'never' : 'by the server’s clock');
            text(below, '');
            return;
          }
          text(at, `in ${duration(Math.ceil((time - now) / 1000) * 1000)}`);
          text(below, inZone(time, cron.timeZone || zone || 'UTC'));
          set(at, { title: exactly(time) });
        };
      },
    },
    {
      id: 'last',
      label: 'Last run',
      width: '96px',
      descendingFirst: true,
      compare: by((cron) => cron.lastSchedule || 0),
      make(cell) {
        const at = h('span', {});
        const below = h('span', { class: 'sub' });
        cell.append(at, below);
        return (cron, now) => {
          text(at, Number.isNaN(cron.lastSchedule) ? 'not yet' : `${ago(cron.lastSchedule, now)} ago`.replace('now ago', 'now'));
          text(below, cron.active.length > 0 ? `${cron.active.length} running` : '');
          set(at, { title: exactly(cron.lastSchedule) || null });
        };
      },
    },
    {
      id: 'state',
      label: 'State',
      width: '110px',
      phone: '28px',
      compare: by((cron) => Number(cron.suspended)),
      make(cell) {
        const sign = badge('none', '');
        sign.lastElementChild?.classList.add('wide');
        cell.append(sign);
        return (cron) => {
          const running = cron.active.length > 0;
          setBadge(sign, cron.suspended ? 'suspended' : running ? 'running' : 'none', cron.suspended ? 'Suspended' : running ? 'Running' : 'Scheduled');
        };
      },
    },
    {
      id: 'actions',
      label: 'Actions',
      width: '210px',
      make(cell) {
        /** @type {CronRecord | null} */
        let shown = null;
        const act = (/** @type {(cron: CronRecord) => unknown} */ what) => () => shown && void what(shown);
        const run = button('Run now', act(runNow), { icon: 'play', kind: 'small' });
        const pause = button('Suspend', act((cron) => setSuspended(cron, !cron.suspended)), { kind: 'small' });
        const drop = h('button', { type: 'button', class: 'icon-button', onclick: act(removeCron) }, icon('trash'));
        cell.append(h('div', { class: 'row-actions' }, run, pause, drop));
        return (cron) => {
          shown = cron;
          set(run, { 'aria-label': `Run now: ${cron.name}` });
          text(pause, cron.suspended ? 'Resume' : 'Suspend');
          set(pause, { 'aria-label': `${cron.suspended ? 'Resume' : 'Suspend'} ${cron.name}` });
          set(drop, { 'aria-label': `Delete ${cron.name}`, title: 'Delete' });
        };
      },
    },
  ];
}
