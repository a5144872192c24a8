// Modules: what each is, what it makes use of, and who runs it.

import { pathOf } from '../lib/api.js';
import { jobs as allJobs } from '../lib/cluster.js';
import { cronRecord } from '../lib/cronjob.js';
import { h, set, text } from '../lib/dom.js';
import { bytes, plural } from '../lib/format.js';
import { importGroups, moduleRecord, needs, parseImage, reference, shortDigest } from '../lib/module.js';
import { openDialog } from '../lib/overlay.js';
import { Table } from '../lib/table.js';
import { ago, duration, exactly, moment, serverNow, when } from '../lib/time.js';
import { badge, button, empty, facts, icon } from '../lib/ui.js';
import { Informer } from '../lib/watch.js';
import { cronHref, jobHref } from './index.js';
import { removeModule } from './module_actions.js';

/** @typedef {import('../lib/module.js').ModuleRecord} ModuleRecord */
/** @typedef {import('../lib/job.js').JobRecord} JobRecord */
/** @typedef {import('../lib/cronjob.js').CronRecord} CronRecord */
/** Who names a module in a manifest. @typedef {{ jobs: JobRecord[], live: number, crons: CronRecord[] }} Users */

/** How many users of a module are named. */
const NAMED = 20;

/** @param {import('./index.js').Context} context */
export function show({ root, query, setQuery, signal, title }) {
  title('Modules');
  /** @type {Informer<ModuleRecord>} */
  const modules = new Informer({ path: '/apis/kiln.dev/v1/modules', reduce: moduleRecord });
  /** @type {Informer<CronRecord>} */
  const crons = new Informer({ path: pathOf('cronjobs'), reduce: cronRecord });
  const jobs = allJobs.acquire(signal);
  /** @type {Map<string, Users>} by image, as it means a module */
  let users = new Map();

  const filter = h('input', { type: 'search', placeholder: 'Filter by name, kind, import', 'aria-label': 'Filter modules', 'data-search': true, value: query.get('q') ?? '' });
  const tally = h('span', { class: 'muted', role: 'status' });
  /** @type {Table<ModuleRecord>} */
  const table = new Table({
    label: 'Modules',
    columns: columns((module) => usersOf(users, module)),
    key: (module) => module.uid,
    open: (module) => void openModule(module, usersOf(users, module)),
    now: serverNow,
    sorted: () => draw(),
    empty: () => (modules.error ? empty('Modules cannot be listed', h('p', {}, modules.error.message)) : modules.isComplete ? nothing(filter.value) : empty('Looking for modules')),
  });
  table.setSort('name', false);

  function draw() {
    const wanted = filter.value.trim().toLowerCase();
    const all = [...modules.records.values()];
    const rows = all.filter((module) => [reference(module), module.kind, module.digest, ...module.imports].join(' ').toLowerCase().includes(wanted));
    table.setRows(rows.sort(table.compare));
    const size = all.reduce((sum, module) => sum + (module.size || 0), 0);
    text(tally, rows.length === all.length ? `${plural(all.length, 'module')}, ${bytes(size)}` : `${rows.length} of ${plural(all.length, 'module')}`);
  }

  let counted = '';
  function count() {
    const key = `${jobs.version} ${crons.version}`;
    if (key === counted) return;
    counted = key;
    users = byImage(jobs.records.values(), crons.records.values());
    table.refresh();
  }

  filter.addEventListener('input', () => {
    setQuery({ q: filter.value || null });
    draw();
  });
  modules.subscribe(draw, signal);
  // Who uses what follows within a second: with ten thousand Jobs it is not counted for each of their changes.
  const timer = setInterval(count, 1000);
  crons.subscribe(() => crons.isComplete && count(), signal);
  signal.addEventListener('abort', () => {
    clearInterval(timer);
    modules.stop();
    crons.stop();
    table.destroy();
  });
  root.classList.add('full');
  root.append(
    h('div', { class: 'head' }, h('div', { class: 'grow' }, h('h1', {}, 'Modules'), tally), h('a', { class: 'button', href: '#/new' }, icon('up'), 'Upload')),
    h('div', { class: 'toolbar' }, h('div', { class: 'search' }, icon('search'), filter)),
    table.element,
  );
  draw();
  count();
}

/** @param {string} typed */
function nothing(typed) {
  return typed === ''
    ? empty('No modules yet', h('p', {}, 'A module is the program of a Job: a .wasm file for WASI.'), h('a', { class: 'button primary', href: '#/new' }, 'Upload one'))
    : empty('No module matches');
}

/**
 * @param {Iterable<JobRecord>} jobs
 * @param {Iterable<CronRecord>} crons
 * @returns {Map<string, Users>}
 */
function byImage(jobs, crons) {
  /** @type {Map<string, Users>} */
  const users = new Map();
  const of = (/** @type {string} */ image) => {
    const { name, tag, digest } = parseImage(image);
    const key = digest === '' ? `${name}:${tag}` : digest;
    let found = users.get(key);
    if (!found) users.set(key, (found = { jobs: [], live: 0, crons: [] }));
    return found;
  };
  for (const job of jobs) {
    const found = of(job.image);
    found.jobs.push(job);
    if (job.state !== 'succeeded' && job.state !== 'failed') found.live += 1;
  }
  for (const cron of crons) of(cron.image).crons.push(cron);
  return users;
}

/** @param {Map<string, Users>} users @param {ModuleRecord} module @returns {Users} */
function usersOf(users, { name, tag, digest }) {
  const [named, pinned] = [users.get(`${name}:${tag}`), users.get(digest)];
  return {
    jobs: [...(named?.jobs ?? []), ...(pinned?.jobs ?? [])],
    live: (named?.live ?? 0) + (pinned?.live ?? 0),
    crons: [...(named?.crons ?? []), ...(pinned?.crons ?? [])],
  };
}

/** @param {Users} users */
function inWords({ jobs, crons }) {
  const parts = [jobs.length > 0 ? plural(jobs.length, 'Job') : '', crons.length > 0 ? plural(crons.length, 'CronJob') : ''];
  return parts.filter(Boolean).join(', ') || 'nobody';
}

/**
 * @param {(module: ModuleRecord) => Users} usersOf
 * @returns {import('../lib/table.js').Column<ModuleRecord>[]}
 */
function columns(usersOf) {
  const by = (/** @type {(module: ModuleRecord) => string | number} */ of) => (/** @type {ModuleRecord} */ a, /** @type {ModuleRecord} */ b) => {
    const [x, y] = [of(a), of(b)];
    return x < y ? -1 : x > y ? 1 : 0;
  };
  /** @type {(write: (main: HTMLElement, below: HTMLElement, module: ModuleRecord, now: number) => void) => (cell: HTMLElement) => (module: ModuleRecord, now: number) => void} */
  const twoLines = (write) => (cell) => {
    const [main, below] = [h('span', {}), h('span', { class: 'sub' })];
    cell.append(main, below);
    return (module, now) => write(main, below, module, now);
  };
  return [
    {
      id: 'name',
      label: 'Name',
      width: 'minmax(150px, 1.6fr)',
      phone: 'minmax(0, 1fr)',
      compare: by(reference),
      make: twoLines((main, below, module) => {
        main.className = 'strong';
        text(main, reference(module));
        below.classList.add('mono');
        text(below, shortDigest(module.digest));
        set(main, { title: reference(module) });
      }),
    },
    {
      id: 'kind',
      label: 'Kind',
      width: 'minmax(90px, 0.7fr)',
      phone: '92px',
      compare: by((module) => module.kind),
      make: twoLines((main, below, module) => {
        text(main, module.kind);
        text(below, Object.keys(module.producers).length > 0 ? (module.producers.language ?? []).join(', ') : '');
      }),
    },
    { id: 'size', label: 'Size', width: '84px', phone: '76px', number: true, descendingFirst: true, compare: by((module) => module.size || 0), make: (cell) => (module) => text(cell, bytes(module.size)) },
    {
      id: 'needs',
      label: 'Makes use of',
      width: 'minmax(150px, 1.6fr)',
      make: twoLines((main, below, module) => {
        text(main, needs(module.imports).join(', ') || 'nothing of the host');
        text(below, plural(module.imports.length, 'import'));
      }),
    },
    {
      id: 'users',
      label: 'Used by',
      width: 'minmax(150px, 1.2fr)',
      descendingFirst: true,
      compare: by((module) => usersOf(module).jobs.length + usersOf(module).crons.length),
      make: twoLines((main, below, module) => {
        const users = usersOf(module);
        text(main, inWords(users));
        text(below, users.live > 0 ? `${plural(users.live, 'Job')} not over` : '');
      }),
    },
    {
      id: 'pushed',
      label: 'Uploaded',
      width: '96px',
      descendingFirst: true,
      compare: by((module) => moment(module.pushed) || 0),
      make: (cell) => (module, now) => {
        text(cell, `${ago(moment(module.pushed), now)} ago`.replace('now ago', 'now'));
        set(cell, { title: exactly(moment(module.pushed)) });
      },
    },
    {
      id: 'actions',
      label: 'Actions',
      width: '132px',
      make(cell) {
        /** @type {ModuleRecord | null} */
        let shown = null;
        const run = h('a', { class: 'button small' }, icon('play'), 'Run');
        const drop = h('button', { type: 'button', class: 'icon-button', title: 'Delete', onclick: () => shown && void removeModule(shown) }, icon('trash'));
        cell.append(h('div', { class: 'row-actions' }, run, drop));
        return (module) => {
          shown = module;
          set(run, { href: `#/new?module=${encodeURIComponent(reference(module))}`, 'aria-label': `Run ${reference(module)} as a Job` });
          set(drop, { 'aria-label': `Delete ${reference(module)}` });
        };
      },
    },
  ];
}

/** @param {ModuleRecord} module @param {Users} users */
function openModule(module, users) {
  const groups = importGroups(module.imports);
  return openDialog(reference(module), (done) =>
    h(
      'div',
      { class: 'body' },
      facts([
        ['Kind', module.kind],
        ['Size', bytes(module.size)],
        ['Uploaded', `${when(moment(module.pushed), serverNow())}${module.from === 'registry' ? ', from a registry' : ''}`],
        ['Compiled in', Number.isNaN(module.compileSeconds) ? '' : duration(module.compileSeconds * 1000)],
        ['Makes use of', needs(module.imports).join(', ') || 'nothing of the host'],
        ...Object.entries(module.producers).map(([what, by]) => /** @type {[string, string]} */ ([what, by.join(', ')])),
      ]),
      h('p', { class: 'digest mono' }, module.digest),
      h('h3', {}, 'Used by'),
      userList(users, () => done(null)),
      h('h3', {}, plural(module.imports.length, 'import')),
      h('dl', { class: 'import-groups' }, groups.map(({ from, names }) => h('div', {}, h('dt', { class: 'mono' }, from), h('dd', { class: 'mono' }, names.join(', '))))),
      h(
        'div',
        { class: 'actions' },
        button('Delete', async () => (await removeModule(module)) && done(null), { icon: 'trash', kind: 'danger' }),
        h('a', { class: 'button primary', href: `#/new?module=${encodeURIComponent(reference(module))}`, onclick: () => done(null) }, 'New Job'),
        button('Close', () => done(null)),
      ),
    ),
  );
}

/** @param {Users} users @param {() => void} leave */
function userList({ jobs, crons }, leave) {
  const own = [...jobs].sort((a, b) => b.created - a.created).slice(0, NAMED);
  if (own.length + crons.length === 0) return h('p', { class: 'muted' }, 'Nobody');
  return h(
    'ul',
    { class: 'own-jobs list' },
    crons.slice(0, NAMED).map((cron) => h('li', {}, h('span', { class: 'muted' }, 'CronJob'), h('a', { href: cronHref(cron.namespace, cron.name), onclick: leave }, cron.name))),
    own.map((job) => h('li', {}, badge(job.state, job.state), h('a', { href: jobHref(job.namespace, job.name), onclick: leave }, job.name))),
    jobs.length > NAMED && h('li', {}, `and ${plural(jobs.length - NAMED, 'more Job', 'more Jobs')}`),
  );
}
