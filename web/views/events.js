// All events of all objects, as they happen.

import { eventsOf } from '../lib/events.js';
import { atMost, fill, h, set, text } from '../lib/dom.js';
import { count, plural } from '../lib/format.js';
import { Table } from '../lib/table.js';
import { ago, exactly, serverNow } from '../lib/time.js';
import { announce, badge, button, empty, icon, setBadge, stateIcon } from '../lib/ui.js';
import { cronHref, jobHref, podHref } from './index.js';

/** @typedef {import('../lib/events.js').EventRecord} EventRecord */

/** @type {Record<string, (namespace: string, name: string) => string>} */
const HREFS = { Job: jobHref, Pod: podHref, CronJob: cronHref };
const hrefOf = (/** @type {EventRecord} */ e) => HREFS[e.kind]?.(e.namespace, e.name) ?? '';

/** @param {import('./index.js').Context} context */
export function show({ root, query, setQuery, namespace, signal, title }) {
  title('Events');
  root.classList.add('full');
  const informer = eventsOf(namespace);
  signal.addEventListener('abort', () => informer.stop());
  let only = query.get('type') ?? '';
  let paused = false;
  const search = h('input', { type: 'search', 'data-search': true, placeholder: 'Filter: object, reason or words', 'aria-label': 'Filter events by object, reason or words', value: query.get('q') ?? '', spellcheck: 'false', autocomplete: 'off',
    oninput: () => (setQuery({ q: search.value }), update(true)) });
  const chips = [['Warning', 'Warnings', 'failed'], ['Normal', 'Normal', 'none']].map(([type, label, state]) => {
    const tally = h('span', { class: 'tally' });
    const chip = h('button', { type: 'button', class: 'chip', 'aria-pressed': String(only === type), onclick: () => {
      only = only === type ? '' : type;
      for (const c of chips) set(c.chip, { 'aria-pressed': String(only === c.type) });
      setQuery({ type: only });
      update(true);
    } }, h('span', { class: 'badge', 'data-state': state }, stateIcon(state)), label, tally);
    return { type, chip, tally };
  });
  const counted = h('p', { class: 'muted' }, 'Loading…');
  const hold = button('Hold still', () => {
    paused = !paused;
    set(hold, { 'aria-pressed': String(paused) });
    update(true);
  }, { icon: 'pause', kind: 'small' });
  /** @type {Table<EventRecord>} */
  const table = new Table({
    label: 'Events', key: (e) => e.uid, now: serverNow, sorted: () => update(true),
    open: (e) => { if (hrefOf(e)) location.hash = hrefOf(e); },
    empty: () => empty(!informer.isComplete ? 'Loading events…' : informer.records.size ? 'No event matches' : 'There are no events', informer.isComplete && h('p', {}, 'Events are kept for an hour.')),
    columns: [
      { id: 'at', label: 'Last', width: '64px', compare: (a, b) => a.at - b.at, descendingFirst: true, make: (cell) => (e, now) => {
        text(cell, ago(e.at, now));
        cell.title = exactly(e.at);
      } },
      { id: 'reason', label: 'Reason', width: 'minmax(140px, 1fr)', phone: 'minmax(0, 1fr)', compare: (a, b) => (a.reason < b.reason ? -1 : a.reason > b.reason ? 1 : 0), make: (cell) => {
        const element = badge('none', '');
        const sub = h('span', { class: 'sub phone' });
        cell.append(element, sub);
        return (e, now) => {
          setBadge(element, e.type === 'Warning' ? 'failed' : 'none', e.reason + (e.count > 1 ? ` ×${count(e.count)}` : ''));
          text(sub, `${ago(e.at, now)} · ${e.name}: ${e.message}`);
        };
      } },
      { id: 'object', label: 'Object', width: 'minmax(160px, 1.4fr)', compare: (a, b) => (a.haystack < b.haystack ? -1 : 1), make: (cell) => {
        const kind = h('span', { class: 'muted small' });
        const link = h('a', { tabIndex: -1 });
        cell.append(link, ' ', kind);
        return (e) => {
          text(kind, namespace ? e.kind : `${e.kind} in ${e.namespace}`);
          text(link, e.name);
          set(link, { href: hrefOf(e) || '#/events' });
        };
      } },
      { id: 'message', label: 'Message', width: 'minmax(200px, 3fr)', make: (cell) => (e) => {
        text(cell, e.message);
        cell.title = e.message;
      } },
    ],
  });
  table.setSort('at', true);
  fill(root, h('div', { class: 'head' }, h('div', { class: 'grow' }, h('h1', {}, 'Events'), counted), h('div', { class: 'actions' }, hold)),
    h('div', { class: 'toolbar' }, h('div', { class: 'search' }, icon('search'), search), h('div', { class: 'chips', role: 'group', 'aria-label': 'Types' }, chips.map((c) => c.chip))), table.element);

  const update = (asked = false) => {
    if (informer.error) return fill(root, empty('The events cannot be listed', h('p', {}, informer.error.message)));
    if (paused && !asked) return;
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    /** @type {EventRecord[]} */
    const rows = [];
    /** @type {Record<string, number>} */
    const tally = {};
    for (const e of informer.records.values()) {
      if (!words.every((word) => e.haystack.includes(word))) continue;
      tally[e.type] = (tally[e.type] ?? 0) + 1;
      if (!only || e.type === only) rows.push(e);
    }
    for (const { type, tally: of } of chips) text(of, count(tally[type] ?? 0));
    const { compare } = table;
    rows.sort((a, b) => compare(a, b) || b.first - a.first);
    text(counted, `${plural(rows.length, 'event')} of the last hour${informer.isComplete ? '' : ', loading…'}${paused ? ', held still' : ''}`);
    if (asked) announce(plural(rows.length, 'event'));
    table.setRows(rows);
  };
  const soon = atMost(update, () => (informer.records.size > 20_000 ? 2000 : informer.records.size > 2000 ? 600 : 100), signal);
  informer.subscribe(soon, signal);
  const clock = setInterval(() => table.refresh(), 1000);
  signal.addEventListener('abort', () => (clearInterval(clock), table.destroy()));
  update();
}
