// Attempts along the time: a row each, from being created to its end.

import { h } from '../lib/dom.js';
import { clockTime, duration } from '../lib/time.js';

/** @typedef {{label: string, href?: string, begin: number, from: number, to: number, state: string, words: string, current: boolean}} Row `begin`: it was created and waited from then */

/**
 * @param {Row[]} rows
 * @param {number} now
 */
export function gantt(rows, now) {
  const open = rows.some((row) => Number.isNaN(row.to) && (row.state === 'running' || row.state === 'waiting'));
  const times = rows.flatMap((row) => [row.begin, row.from, row.to]).filter(Number.isFinite);
  if (open) times.push(now);
  const [low, high] = [Math.min(...times), Math.max(...times)];
  // Creation has whole seconds only: what took less is not shown as waiting.
  const exact = rows.filter((row) => Number.isFinite(row.from)).map((row) => row.from);
  const start = exact.length && Math.min(...exact) - low < 1000 && Math.min(...exact) >= low ? Math.min(...exact) : low;
  const whole = Math.max(high - start, 1e-3);
  const at = (/** @type {number} */ t) => Math.max(0, Math.min(100, ((t - start) / whole) * 100));
  const bar = (/** @type {number} */ from, /** @type {number} */ to, /** @type {string} */ state, /** @type {string} */ title) =>
    h('span', { class: 'gantt-bar', 'data-state': state, title, style: { left: `${at(from)}%`, width: `${Math.max(0, at(to) - at(from))}%` } });
  const list = rows.map((row) => {
    const end = Number.isNaN(row.to) ? now : row.to;
    const took = Number.isFinite(row.from) ? duration(end - row.from) : '';
    const waited = Number.isFinite(row.begin) && ((Number.isFinite(row.from) && row.from - row.begin >= 1000) || (Number.isNaN(row.from) && row.state === 'waiting'));
    return h('li', { class: `gantt-row ${row.current ? 'current' : ''}` },
      h('span', { class: 'truncate', title: row.label }, row.href ? h('a', { href: row.href }, row.label) : row.label),
      h('span', { class: 'gantt-track', 'aria-hidden': 'true' },
        waited && bar(row.begin, Number.isFinite(row.from) ? row.from : now, 'waiting', 'waited'),
        Number.isFinite(row.from) && bar(row.from, end, row.state, `${row.words}, ${took}`)),
      h('span', {}, [row.words, took].filter(Boolean).join(' · ')));
  });
  return h('ol', { class: 'gantt' }, list, Number.isFinite(start) && h('li', { class: 'gantt-row', 'aria-hidden': 'true' }, h('span', {}), h('span', { class: 'gantt-axis' }, h('span', {}, clockTime(start)), h('span', {}, `${duration(whole)} in all`), h('span', {}, clockTime(high))), h('span', {})));
}
