// The Jobs: a live table of any number of them, filtered, sorted, and acted upon together.

import { ACTIONS, doWith } from '../lib/actions.js';
import { sparkline } from '../lib/chart.js';
import { jobs as allJobs } from '../lib/cluster.js';
import { atMost, fill, h, set, text } from '../lib/dom.js';
import { jobFilter } from '../lib/filter.js';
import { count, percent, plural } from '../lib/format.js';
import { JOB_STATES, JOB_WORDS, completionsOf, durationInWords, durationOf, inWords, progressOf, summaryOf } from '../lib/job.js';
import { Table } from '../lib/table.js';
import { ago, exactly, serverNow } from '../lib/time.js';
import { announce, badge, button, empty, icon, progressBar, setBadge, stateIcon } from '../lib/ui.js';
import { cronHref, jobHref } from './index.js';

/** @typedef {import('../lib/job.js').JobRecord} JobRecord */
/** @typedef {import('../lib/job.js').JobState} JobState */

/** @param {import('./index.js').Context} context */
export function show({ root, query, setQuery, namespace, signal, title }) {
  title('Jobs');
  root.classList.add('full');
  const informer = allJobs.acquire(signal);
  const wanted = new Set(/** @type {JobState[]} */ ((query.get('state') ?? '').split(',').filter(Boolean)));
  /** Runs by CronJob, the newest last. @type {Map<string, JobRecord[]>} */
  let runs = new Map();

  const search = h('input', {
    type: 'search', 'data-search': true, placeholder: 'Filter: name, key=value, reason:…, cron:…, -not', 'aria-label': 'Filter Jobs by name, label or field', 'aria-describedby': 'jobs-filter-help',
    value: query.get('q') ?? '', spellcheck: 'false', autocomplete: 'off',
    oninput: () => (setQuery({ q: search.value }), update(true)),
    onkeydown: (/** @type {KeyboardEvent} */ e) => { if (e.key === 'ArrowDown' || e.key === 'Enter') (e.preventDefault(), table.focus()); },
  });
  const chips = JOB_STATES.map((state) => {
    const tally = h('span', { class: 'tally' });
    const chip = h('button', {
      type: 'button', class: 'chip', 'aria-pressed': String(wanted.has(state)),
      onclick: () => {
        if (!wanted.delete(state)) wanted.add(state);
        set(chip, { 'aria-pressed': String(wanted.has(state)) });
        setQuery({ state: [...wanted].join(',') });
        update(true);
      },
    }, h('span', { class: 'badge', 'data-state': state }, stateIcon(state)), JOB_WORDS[state], tally);
    return { state, chip, tally };
  });
  const counted = h('p', { class: 'muted' }, 'Loading…');
  const selectionBar = h('div', { class: 'selection', hidden: true, role: 'toolbar', 'aria-label': 'What to do with the selected Jobs' });

  /** @type {Table<JobRecord>} */
  const table = new Table({
    label: 'Jobs', selectable: true, key: (job) => job.uid, name: (job) => job.name, now: serverNow,
    open: (job) => { location.hash = jobHref(job.namespace, job.name); },
    sorted: () => (setQuery({ sort: `${table.sort.descending ? '-' : ''}${table.sort.column}` }), update(true)),
    selected: () => showSelection(),
    empty: () => {
      if (!informer.isComplete) return empty('Loading Jobs…');
      if (informer.records.size > 0) return empty('No Job matches', button('Clear the filter', clear));
      return empty('There are no Jobs yet', h('p', {}, 'Upload a WebAssembly module and run it, or use ', h('code', {}, 'kubectl apply -f job.yaml'), '.'), h('a', { class: 'button primary', href: '#/new' }, 'New Job'));
    },
    columns: columns(namespace, () => runs),
  });
  const sort = query.get('sort') ?? '-age';
  table.setSort(sort.replace(/^-/, ''), sort.startsWith('-'));

  fill(root,
    h('div', { class: 'head' }, h('div', { class: 'grow' }, h('h1', {}, 'Jobs'), counted)),
    h('div', { class: 'toolbar' }, h('div', { class: 'search' }, icon('search'), search), h('div', { class: 'chips', role: 'group', 'aria-label': 'States' }, chips.map((c) => c.chip))),
    h('p', { id: 'jobs-filter-help', class: 'visually-hidden' }, 'Words of the name; key=value for labels; state:, ns:, cron:, reason: and image: for fields; a minus before one turns it round. All must hold.'),
    selectionBar, table.element);

  function clear() {
    search.value = '';
    wanted.clear();
    for (const { chip } of chips) set(chip, { 'aria-pressed': 'false' });
    setQuery({ q: null, state: null });
    update(true);
  }

  /** @param {boolean} [asked] by the user, not by a change of the Jobs */
  function update(asked = false) {
    if (informer.error) return fill(root, empty('The Jobs cannot be listed', h('p', {}, informer.error.message)));
    const matches = jobFilter(search.value);
    /** @type {JobRecord[]} */
    const rows = [];
    /** @type {Record<string, number>} */
    const tally = {};
    let all = 0;
    runs = new Map();
    for (const job of informer.records.values()) {
      if (job.cron) {
        const key = `${job.namespace}/${job.cron}`;
        const of = runs.get(key);
        if (of) of.push(job);
        else runs.set(key, [job]);
      }
      if (namespace && job.namespace !== namespace) continue;
      all++;
      if (!matches(job)) continue;
      tally[job.state] = (tally[job.state] ?? 0) + 1;
      if (wanted.size === 0 || wanted.has(job.state)) rows.push(job);
    }
    for (const of of runs.values()) of.sort((a, b) => a.created - b.created);
    for (const { state, tally: of, chip } of chips) {
      text(of, count(tally[state] ?? 0));
      chip.hidden = !tally[state] && !wanted.has(state) && (state === 'deleting' || state === 'suspended');
    }
    const { compare } = table;
    rows.sort((a, b) => compare(a, b) || b.created - a.created || (a.haystack < b.haystack ? -1 : 1));
    // What has been deleted or filtered away is not acted upon.
    if (table.selection.size > 0) {
      const there = new Set(rows.map((job) => job.uid));
      for (const key of table.selection) if (!there.has(key)) table.selection.delete(key);
    }
    const words = rows.length === all ? plural(all, 'Job') : `${count(rows.length)} of ${plural(all, 'Job')}`;
    text(counted, informer.isComplete ? words : `${words}, loading${informer.left > 0 ? ` ${count(informer.left)} more` : ''}…`);
    if (asked) announce(words);
    table.setRows(rows);
    showSelection();
  }

  function showSelection() {
    const n = table.selection.size;
    selectionBar.hidden = n === 0;
    if (n === 0 || selectionBar.dataset.n === String(n)) {
      if (n === 0) delete selectionBar.dataset.n;
      return;
    }
    selectionBar.dataset.n = String(n);
    const held = selectionBar.contains(document.activeElement) && document.activeElement?.getAttribute('data-action');
    const chosen = () => table.rows.filter((job) => table.selection.has(job.uid));
    fill(selectionBar, h('strong', {}, `${count(n)} selected`),
      n < table.rows.length && button(`Select all ${count(table.rows.length)} that match`, () => table.selectAll(true), { kind: 'small quiet' }),
      h('span', { class: 'grow' }),
      Object.values(ACTIONS).map((action) => {
        const b = button(action.label, async () => {
          if (await doWith(action, chosen())) table.selectAll(false);
        }, { icon: action.icon, kind: `small ${action.danger ? 'danger' : ''}` });
        b.dataset.action = action.id;
        return b;
      }),
      button('Clear', () => table.selectAll(false), { kind: 'small quiet' }));
    if (held) /** @type {HTMLElement | null} */ (selectionBar.querySelector(`[data-action="${held}"]`))?.focus();
  }

  // With thousands of Jobs and changes in each frame, filtering and sorting twice a second is enough.
  const soon = atMost(update, () => (informer.records.size > 2000 ? 500 : informer.records.size > 300 ? 200 : 50), signal);
  informer.subscribe(soon, signal);
  const clock = setInterval(() => table.refresh(), 1000);
  signal.addEventListener('abort', () => (clearInterval(clock), table.destroy()));
  update();
}

const text_ = (/** @type {string} */ a, /** @type {string} */ b) => (a < b ? -1 : a > b ? 1 : 0);
/** Numbers, what is none last. @type {(a: number, b: number) => number} */
const number = (a, b) => (Number.isNaN(a) ? (Number.isNaN(b) ? 0 : 1) : Number.isNaN(b) ? -1 : a - b);
const rank = new Map(JOB_STATES.map((state, i) => [state, i]));

/**
 * @param {string} namespace if only one is shown
 * @param {() => Map<string, JobRecord[]>} runs
 * @returns {import('../lib/table.js').Column<JobRecord>[]}
 */
function columns(namespace, runs) {
  return [
    {
      id: 'name', label: 'Job', width: 'minmax(180px, 2fr)', phone: 'minmax(0, 1fr)', compare: (a, b) => text_(a.name, b.name) || text_(a.namespace, b.namespace),
      make: (cell) => {
        const link = h('a', { tabIndex: -1 });
        const of = h('span', { class: 'muted small wide' });
        const state = badge('none', '', 'phone-badge');
        const more = h('span', {});
        cell.append(h('span', { class: 'name-line truncate' }, link, ' ', of), h('span', { class: 'sub phone' }, state, ' ', more));
        return (job, now) => {
          text(link, job.name);
          if (link.getAttribute('href') !== jobHref(job.namespace, job.name)) link.setAttribute('href', jobHref(job.namespace, job.name));
          link.title = job.name;
          text(of, namespace ? '' : job.namespace);
          setBadge(state, job.state, JOB_WORDS[job.state]);
          text(more, ` · ${completionsOf(job)} · ${durationInWords(job, now)} · ${ago(job.created, now)}`);
        };
      },
    },
    {
      id: 'state', label: 'State', width: '108px', compare: (a, b) => (rank.get(a.state) ?? 0) - (rank.get(b.state) ?? 0),
      make: (cell) => {
        const element = badge('none', '');
        cell.append(element);
        return (job) => setBadge(element, job.state, JOB_WORDS[job.state]);
      },
    },
    {
      id: 'why', label: 'What', width: 'minmax(140px, 2.4fr)',
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
      id: 'progress', label: 'Progress', width: '120px', compare: (a, b) => progressOf(a) - progressOf(b),
      make: (cell) => {
        const bar = progressBar('Pods that succeeded');
        const words = h('span', { class: 'small muted' });
        cell.append(h('div', { class: 'progress-cell' }, bar.element, words));
        return (job) => {
          const whole = Math.max(job.completions ?? job.parallelism, 1);
          bar.update(progressOf(job), job.state !== 'running' ? 0 : Math.min(job.active / whole, 1 - progressOf(job)), job.state === 'failed' ? Math.min(Math.max(job.failed, 1) / whole, 1 - progressOf(job)) : 0);
          text(words, completionsOf(job));
          words.title = percent(job.succeeded, whole);
        };
      },
    },
    {
      id: 'activity', label: 'Activity', width: '76px',
      make: (cell) => {
        const line = sparkline();
        cell.append(line.element);
        return (job, now) => {
          if (job.cron) {
            const of = (runs().get(`${job.namespace}/${job.cron}`) ?? []).filter((run) => run.created <= job.created).slice(-12);
            line.runs(of.map((run) => ({ value: durationOf(run, now) || 0, state: run.state, current: run.uid === job.uid })));
            cell.title = `The last ${plural(of.length, 'run')} of ${job.cron}, by duration`;
          } else {
            line.update(rates(job.samples));
            cell.title = job.samples.length > 2 ? 'Pods that ended, over the time that this page has seen' : '';
          }
        };
      },
    },
    {
      id: 'duration', label: 'Duration', width: '84px', number: true, descendingFirst: true, compare: (a, b) => number(durationOf(a, Date.now()), durationOf(b, Date.now())),
      make: (cell) => (job, now) => text(cell, durationInWords(job, now)),
    },
    {
      id: 'age', label: 'Created', width: '76px', number: true, compare: (a, b) => a.created - b.created, descendingFirst: true,
      make: (cell) => (job, now) => {
        text(cell, ago(job.created, now));
        cell.title = exactly(job.created);
      },
    },
    {
      id: 'cron', label: 'CronJob', width: 'minmax(64px, 0.7fr)', compare: (a, b) => text_(a.cron || '\uffff', b.cron || '\uffff'),
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
    found.push(Math.max(0, samples[i].ended - samples[i - 1].ended) / Math.max(0.001, (samples[i].at - samples[i - 1].at) / 1000));
  }
  return found;
}
