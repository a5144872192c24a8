// The pods of a Job as a table: the same as the map, to read and to sort.

import { bytes, compact, count, plural } from '../lib/format.js';
import { atMost, fill, h, set, text } from '../lib/dom.js';
import { POD_WORDS, podSummary } from '../lib/pod.js';
import { Table } from '../lib/table.js';
import { ago, duration, exactly, serverNow } from '../lib/time.js';
import { announce, badge, empty, icon, setBadge, stateIcon } from '../lib/ui.js';
import { podHref } from './index.js';

/** @typedef {import('../lib/pod.js').PodRecord} PodRecord */
/** @typedef {import('../lib/pod.js').PodState} PodState */

/** @type {PodState[]} */
const STATES = ['failed', 'running', 'waiting', 'succeeded', 'deleting'];
const rank = new Map(STATES.map((state, i) => [state, i]));

/** @type {(a: number, b: number) => number} */
const number = (a, b) => (Number.isNaN(a) ? (Number.isNaN(b) ? 0 : 1) : Number.isNaN(b) ? -1 : a - b);

/**
 * @param {HTMLElement} panel
 * @param {import('./job.js').Shared} shared
 * @param {Pick<import('./index.js').Context, 'query' | 'setQuery'>} address
 * @param {AbortSignal} signal
 */
export function podTable(panel, { pods, map, changed }, { query, setQuery }, signal) {
  panel.classList.add('grow-down');
  signal.addEventListener('abort', () => panel.classList.remove('grow-down'));
  let only = query.get('pods') ?? '';
  const search = h('input', { type: 'search', 'data-search': true, placeholder: 'Filter: name, index or reason', 'aria-label': 'Filter pods by name, index or reason', spellcheck: 'false', autocomplete: 'off', oninput: () => update(true) });
  const chips = STATES.map((state) => {
    const tally = h('span', { class: 'tally' });
    const chip = h('button', { type: 'button', class: 'chip', 'aria-pressed': String(only === state), onclick: () => {
      only = only === state ? '' : state;
      for (const c of chips) set(c.chip, { 'aria-pressed': String(c.state === only) });
      setQuery({ pods: only });
      update(true);
    } }, h('span', { class: 'badge', 'data-state': state }, stateIcon(state)), POD_WORDS[state], tally);
    return { state, chip, tally };
  });
  /** @type {Table<PodRecord>} */
  const table = new Table({
    label: 'Pods of the Job', key: (pod) => pod.uid, now: serverNow, sorted: () => update(true),
    open: (pod) => { location.hash = podHref(pod.namespace, pod.name); },
    empty: () => (pods.isComplete ? empty(pods.records.size ? 'No pod matches' : 'There are no pods') : empty('Loading pods…')),
    columns: [
      {
        id: 'name', label: 'Pod', width: 'minmax(180px, 2fr)', phone: 'minmax(0, 1fr)', compare: (a, b) => a.index - b.index || (a.name < b.name ? -1 : 1),
        make: (cell) => {
          const link = h('a', { tabIndex: -1 });
          const index = h('span', { class: 'muted small' });
          const state = badge('none', '', 'phone-badge');
          const more = h('span', {});
          cell.append(h('span', { class: 'name-line truncate' }, link, ' ', index), h('span', { class: 'sub phone' }, state, ' ', more));
          return (pod) => {
            text(link, pod.name);
            set(link, { href: podHref(pod.namespace, pod.name) });
            text(index, pod.index >= 0 ? `#${pod.index}` : '');
            setBadge(state, pod.state, POD_WORDS[pod.state]);
            text(more, ` · ${podSummary(pod) || duration(pod.wall)}`);
          };
        },
      },
      { id: 'state', label: 'State', width: '108px', compare: (a, b) => (rank.get(a.state) ?? 0) - (rank.get(b.state) ?? 0), make: (cell) => {
        const element = badge('none', '');
        cell.append(element);
        return (pod) => setBadge(element, pod.state, POD_WORDS[pod.state]);
      } },
      { id: 'why', label: 'Reason', width: 'minmax(120px, 2fr)', make: (cell) => (pod) => {
        text(cell, podSummary(pod));
        cell.title = pod.why;
      } },
      { id: 'restarts', label: 'Restarts', width: '72px', number: true, descendingFirst: true, compare: (a, b) => a.restarts - b.restarts, make: (cell) => (pod) => text(cell, pod.restarts || '') },
      { id: 'duration', label: 'Duration', width: '84px', number: true, descendingFirst: true, compare: (a, b) => number(a.finished - a.started, b.finished - b.started), make: (cell) => (pod, now) => text(cell, duration((Number.isFinite(pod.finished) ? pod.finished : now) - pod.started)) },
      { id: 'cpu', label: 'Computing', width: '84px', number: true, descendingFirst: true, compare: (a, b) => number(a.cpu, b.cpu), make: (cell) => (pod) => text(cell, duration(pod.cpu)) },
      { id: 'fuel', label: 'Fuel', width: '72px', number: true, descendingFirst: true, compare: (a, b) => number(a.fuel, b.fuel), make: (cell) => (pod) => text(cell, compact(pod.fuel)) },
      { id: 'memory', label: 'Memory', width: '84px', number: true, descendingFirst: true, compare: (a, b) => number(a.memory, b.memory), make: (cell) => (pod) => text(cell, bytes(pod.memory)) },
      { id: 'age', label: 'Created', width: '76px', number: true, descendingFirst: true, compare: (a, b) => a.created - b.created, make: (cell) => (pod, now) => {
        text(cell, ago(pod.created, now));
        cell.title = exactly(pod.created);
      } },
    ],
  });
  table.setSort(map.isIndexed ? 'name' : 'age', !map.isIndexed);
  const counted = h('span', { class: 'muted small' });
  fill(panel, h('div', { class: 'toolbar' }, h('div', { class: 'search' }, icon('search'), search), h('div', { class: 'chips', role: 'group', 'aria-label': 'States' }, chips.map((c) => c.chip)), counted), table.element);

  const update = (asked = false) => {
    const words = search.value.trim().toLowerCase();
    /** @type {PodRecord[]} */
    const rows = [];
    /** @type {Record<string, number>} */
    const tally = {};
    for (const pod of pods.records.values()) {
      if (words && !pod.name.includes(words) && !pod.reason.toLowerCase().includes(words) && String(pod.index) !== words.replace(/^#/, '')) continue;
      tally[pod.state] = (tally[pod.state] ?? 0) + 1;
      if (!only || pod.state === only) rows.push(pod);
    }
    for (const { state, tally: of, chip } of chips) {
      text(of, count(tally[state] ?? 0));
      chip.hidden = !tally[state] && only !== state;
    }
    const { compare } = table;
    rows.sort((a, b) => compare(a, b) || a.created - b.created || a.index - b.index);
    text(counted, `${plural(rows.length, 'pod')}${pods.isComplete ? '' : ', loading…'}`);
    if (asked) announce(plural(rows.length, 'pod'));
    table.setRows(rows);
  };
  const soon = atMost(update, () => (pods.records.size > 20_000 ? 2000 : pods.records.size > 2000 ? 700 : 100), signal);
  changed(soon, signal);
  const clock = setInterval(() => table.refresh(), 1000);
  signal.addEventListener('abort', () => (clearInterval(clock), table.destroy()));
  update();
}
