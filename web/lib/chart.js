// Charts as SVG: what runs over time, a sparkline, a histogram. Drawn anew from the data; sizes in pixels of their box.

import { h, s, set } from './dom.js';
import { compact, count, plural } from './format.js';
import { clockTime } from './time.js';

/**
 * @typedef {{id: string, label: string, fill: string}} Series
 * @typedef {{at: number} & Record<string, number>} Point
 */

/**
 * Areas (or bars) on top of each other along the time, with what they are at the pointer.
 * @param {{label: string, series: Series[], bars?: boolean, height?: number, unit?: (n: number) => string}} options
 */
export function timeChart({ label, series, bars = false, height = 160, unit = count }) {
  const svg = s('svg', { class: 'chart', role: 'img', 'aria-label': label, height, width: '100%', preserveAspectRatio: 'none' });
  const tip = h('div', { class: 'chart-tip', hidden: true });
  const element = h('div', { class: 'chart-box live' }, svg, tip);
  const [left, right, top, bottom] = [36, 4, 8, 20];
  /** @type {Point[]} */
  let points = [];
  let width = 0;

  function draw() {
    width = element.clientWidth;
    if (width === 0 || points.length < 2) return;
    const total = (/** @type {Point} */ p) => series.reduce((sum, { id }) => sum + p[id], 0);
    const most = niceTop(Math.max(...points.map(total)));
    const inner = { w: width - left - right, h: height - top - bottom };
    const x = (/** @type {number} */ i) => left + (inner.w * i) / (bars ? points.length : points.length - 1);
    const y = (/** @type {number} */ v) => top + inner.h * (1 - v / most);
    const base = points.map(() => 0);
    const shapes = series.map(({ id, fill }) => {
      const low = base.slice();
      points.forEach((p, i) => { base[i] += p[id]; });
      if (base.every((v, i) => v === low[i])) return null;
      let d = '';
      if (bars) {
        const w = inner.w / points.length;
        const gap = w > 4 ? 1 : 0;
        points.forEach((_, i) => {
          if (base[i] > low[i]) d += `M${(x(i) + gap / 2).toFixed(1)} ${y(low[i]).toFixed(1)}V${y(base[i]).toFixed(1)}h${(w - gap).toFixed(1)}V${y(low[i]).toFixed(1)}z`;
        });
      } else {
        d = `M${points.map((_, i) => `${x(i).toFixed(1)} ${y(base[i]).toFixed(1)}`).join('L')}L${points.map((_, i) => `${x(i).toFixed(1)} ${y(low[i]).toFixed(1)}`).reverse().join('L')}z`;
      }
      return s('path', { d, fill: `var(${fill})` });
    });
    const lines = [0, most / 2, most].map((v) => [
      s('line', { x1: left, x2: width - right, y1: y(v), y2: y(v), class: 'rule' }),
      s('text', { x: left - 6, y: y(v) + 4, class: 'tick', 'text-anchor': 'end' }, v === most / 2 && most < 2 ? '' : compact(v)),
    ]);
    const wanted = Math.max(2, Math.min(6, Math.floor(width / 120)));
    const ticks = Array.from({ length: wanted }, (_, k) => {
      const i = Math.round(((points.length - 1) * k) / (wanted - 1));
      return s('text', { x: x(i), y: height - 4, class: 'tick', 'text-anchor': k === 0 ? 'start' : k === wanted - 1 ? 'end' : 'middle' }, clockTime(points[i].at).slice(0, 5));
    });
    svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    svg.replaceChildren(...lines.flat(), ...shapes.filter((p) => p !== null), ...ticks, cursor);
  }

  const cursor = s('line', { class: 'cursor', y1: top, y2: height - bottom, visibility: 'hidden' });
  svg.addEventListener('pointermove', (event) => {
    if (points.length < 2) return;
    const share = (event.offsetX - left) / (width - left - right);
    const i = Math.max(0, Math.min(points.length - 1, bars ? Math.floor(share * points.length) : Math.round(share * (points.length - 1))));
    const at = left + ((width - left - right) * (bars ? i + 0.5 : i)) / (bars ? points.length : points.length - 1);
    set(cursor, { x1: at, x2: at, visibility: 'visible' });
    tip.hidden = false;
    tip.replaceChildren(h('strong', {}, clockTime(points[i].at)), ...series.map(({ id, label, fill }) => h('span', { class: 'row' }, swatch(fill), `${label} `, h('b', {}, unit(points[i][id])))));
    tip.style.left = `${Math.min(at + 8, width - tip.offsetWidth - 4)}px`;
  });
  svg.addEventListener('pointerleave', () => {
    tip.hidden = true;
    set(cursor, { visibility: 'hidden' });
  });
  const observer = new ResizeObserver(draw);
  observer.observe(element);
  return {
    element,
    destroy: () => observer.disconnect(),
    /** @param {Point[]} next */
    update(next) {
      points = next;
      const last = points[points.length - 1];
      if (last) set(svg, { 'aria-label': `${label}. Now: ${series.map(({ id, label }) => `${unit(last[id])} ${label.toLowerCase()}`).join(', ')}.` });
      draw();
    },
  };
}

/** A round number at or above it. @param {number} n */
export function niceTop(n) {
  if (!(n > 1)) return n > 0 ? 1 : 1;
  const power = 10 ** Math.floor(Math.log10(n));
  return [1, 2, 4, 5, 8, 10].map((m) => m * power).find((m) => m >= n * 0.999) ?? 10 * power;
}

/** A square of the colour. @param {string} fill */
export const swatch = (fill) => h('span', { class: 'swatch', 'aria-hidden': 'true', style: { background: `var(${fill})` } });

/** @param {Series[]} series */
export const legend = (series) => h('div', { class: 'legend' }, series.map(({ label, fill }) => h('span', { class: 'row' }, swatch(fill), label)));

/** A small line; `update` takes values. */
export function sparkline() {
  const [w, t] = [72, 20];
  const area = s('path', { class: 'spark-area' });
  const line = s('path', { class: 'spark-line' });
  const bars = s('g');
  const element = s('svg', { class: 'spark', viewBox: `0 0 ${w} ${t}`, width: w, height: t, 'aria-hidden': 'true' }, area, line, bars);
  return {
    element,
    /** @param {number[]} values */
    update(values) {
      bars.replaceChildren();
      if (values.length < 2) {
        set(line, { d: null });
        set(area, { d: null });
        return;
      }
      const most = Math.max(...values, 1e-9);
      const d = values.map((v, i) => `${((w * i) / (values.length - 1)).toFixed(1)} ${(t - 1 - (t - 3) * (v / most)).toFixed(1)}`).join('L');
      set(line, { d: `M${d}` });
      set(area, { d: `M0 ${t}L${d}L${w} ${t}z` });
    },
    /** Runs of a CronJob: a bar as high as it took, in the colour of its end. @param {{value: number, state: string, current: boolean}[]} runs */
    runs(runs) {
      set(line, { d: null });
      set(area, { d: null });
      const most = Math.max(...runs.map((r) => r.value), 1e-9);
      bars.replaceChildren(...runs.map(({ value, state, current }, i) => {
        const high = Math.max(3, (t - 2) * (value / most));
        return s('rect', { x: i * 6, y: t - high, width: 4, height: high, rx: 1, class: `run ${current ? 'current' : ''}`, 'data-state': state });
      }));
    },
  };
}

/**
 * How often which values are.
 * @param {{label: string, bins: {from: number, to: number, count: number}[], unit: (n: number) => string, marks?: [string, number][]}} data
 */
export function histogram({ label, bins, unit, marks = [] }) {
  if (bins.length === 1) return h('p', { class: 'same' }, h('b', {}, unit(bins[0].from)), h('span', { class: 'muted' }, ' each'));
  const height = 96;
  const most = Math.max(...bins.map((b) => b.count), 1);
  const all = bins.reduce((sum, b) => sum + b.count, 0);
  const words = `${label}: ${marks.map(([name, value]) => `${name} ${unit(value)}`).join(', ')}; ${plural(all, 'value')}.`;
  const columns = bins.map(({ from, to, count: n }) => h('div', { class: 'bin', title: `${unit(from)} to ${unit(to)}: ${count(n)}` },
    h('div', { style: { height: n ? `${Math.max(2, (n / most) * height)}px` : '0' } })));
  const ends = bins.length ? h('div', { class: 'row histogram-ends' }, h('span', {}, unit(bins[0].from)), h('span', { class: 'grow' }), h('span', {}, unit(bins[bins.length - 1].to))) : null;
  return h('figure', { class: 'histogram', 'aria-label': words },
    h('div', { class: 'bins', 'aria-hidden': 'true', style: { height: `${height}px` } }, columns), ends,
    h('figcaption', { class: 'legend' }, marks.map(([name, value]) => h('span', {}, `${name} `, h('b', {}, unit(value))))));
}

