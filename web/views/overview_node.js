// Two cards of the overview: the modules, and the node with how much of it is in use.

import { ApiError, pathOf, send } from '../lib/api.js';
import { connection } from '../lib/connection.js';
import { fill, h, text } from '../lib/dom.js';
import { bytes, compact, count, digits, quantity } from '../lib/format.js';
import { samples, sum } from '../lib/metrics.js';
import { ago, serverNow } from '../lib/time.js';
import { badge, progressBar } from '../lib/ui.js';
import { Informer } from '../lib/watch.js';

/** @param {HTMLElement} box @param {{name: string, tag: string, size: number, pushed: string, digest: string}[]} list */
export function showModules(box, list) {
  if (list.length === 0) return fill(box, h('p', { class: 'muted' }, 'None has been pushed yet.'));
  const distinct = new Map(list.map((m) => [m.digest, m.size]));
  const newest = [...list].sort((a, b) => (a.pushed < b.pushed ? 1 : -1)).slice(0, 4);
  fill(
    box,
    h(
      'p',
      {},
      h('b', {}, count(list.length)),
      list.length === 1 ? ' name, ' : ' names, ',
      h('b', {}, count(distinct.size)),
      ' different, ',
      h('b', {}, bytes([...distinct.values()].reduce((a, b) => a + b, 0))),
    ),
    h(
      'ul',
      { class: 'plain' },
      newest.map((m) =>
        h(
          'li',
          { class: 'row' },
          h('span', { class: 'mono truncate grow' }, `${m.name}:${m.tag}`),
          h('span', { class: 'small muted' }, bytes(m.size)),
          h('span', { class: 'small muted' }, `${ago(Date.parse(m.pushed), serverNow())}`),
        ),
      ),
    ),
  );
}

/**
 * The node: how it is, what it has, and how much of it is in use.
 * @param {HTMLElement} box
 * @param {AbortSignal} signal
 */
export function watchNode(box, signal) {
  /** @type {Informer<any>} */
  const nodes = new Informer({ path: pathOf('nodes'), reduce: (node) => node });
  signal.addEventListener('abort', () => nodes.stop());
  const NAMES = [
    'kiln_pods_running',
    'kiln_pods_driven',
    'kiln_guest_cpu_seconds_total',
    'kiln_fuel_total',
    'kiln_container_runs_total',
    'kiln_store_writable',
  ];
  /** @type {{at: number, cpu: number, fuel: number, running: number, driven: number, runs: number, writable: number} | null} */
  let now = null;
  let [cpuShare, fuelRate] = [NaN, NaN];
  const slots = progressBar('Pods running, of those that may run at once');
  const cpu = progressBar('Cores in use by guests');
  const head = h('div', {});
  const slotWords = h('span', { class: 'small muted' });
  const cpuWords = h('span', { class: 'small muted' });
  const foot = h('p', { class: 'small muted' });
  fill(
    box,
    head,
    h('div', { class: 'meter' }, h('span', {}, 'Pods'), slots.element, slotWords),
    h('div', { class: 'meter' }, h('span', {}, 'Cores'), cpu.element, cpuWords),
    foot,
  );
  const draw = () => {
    const node = [...nodes.records.values()][0];
    if (!node) {
      fill(head, h('p', { class: 'muted' }, nodes.isComplete ? 'There is no node yet.' : 'Loading…'));
      return;
    }
    const { allocatable = {}, conditions = [], nodeInfo = {} } = node.status ?? {};
    const ready = conditions.find((/** @type {any} */ c) => c.type === 'Ready')?.status === 'True';
    const problems = conditions
      .filter((/** @type {any} */ c) => (c.type === 'Ready' ? c.status !== 'True' : c.status === 'True'))
      .map((/** @type {any} */ c) => c.message || c.type);
    const words = node.spec?.unschedulable ? 'cordoned' : ready ? 'ready' : 'not ready';
    fill(
      head,
      h(
        'p',
        { class: 'row' },
        badge(problems.length ? 'failed' : node.spec?.unschedulable ? 'suspended' : 'succeeded', '', 'bare'),
        h('b', { class: 'truncate' }, node.metadata.name),
        h('span', { class: 'muted' }, words),
      ),
      problems.map((/** @type {string} */ p) => h('p', { class: 'small field-error' }, p)),
    );
    const most = quantity(allocatable.pods);
    const cores = quantity(allocatable.cpu);
    if (now) {
      slots.update(0, Math.min(1, now.running / most), 0);
      text(
        slotWords,
        `${count(now.running)} of ${count(most)}${now.driven > now.running ? `, ${count(now.driven - now.running)} about to run` : ''}`,
      );
      cpu.update(0, Number.isFinite(cpuShare) ? Math.min(1, cpuShare / cores) : 0, 0);
      text(
        cpuWords,
        Number.isFinite(cpuShare)
          ? `${digits(Math.round(cpuShare * 100) / 100)} of ${digits(cores)}`
          : `${digits(cores)} in all`,
      );
    }
    text(
      foot,
      [
        `${bytes(quantity(allocatable.memory))} of memory`,
        Number.isFinite(fuelRate) && fuelRate > 0 ? `${compact(fuelRate)} fuel per second` : '',
        now ? `${compact(now.runs)} runs since the start` : '',
        nodeInfo.containerRuntimeVersion?.replace('://', ' '),
      ]
        .filter(Boolean)
        .join(' · '),
    );
  };
  nodes.subscribe(draw, signal);
  const ask = async () => {
    if (connection.isHidden) return;
    try {
      const response = await send('/metrics', {
        query: { objects: false },
        accept: 'text/plain',
        signal,
        timeout: 10_000,
      });
      const found = samples(await response.text(), NAMES);
      const next = {
        at: performance.now(),
        running: sum(found.kiln_pods_running),
        driven: sum(found.kiln_pods_driven),
        cpu: sum(found.kiln_guest_cpu_seconds_total),
        fuel: sum(found.kiln_fuel_total),
        runs: sum(found.kiln_container_runs_total),
        writable: sum(found.kiln_store_writable),
      };
      if (now && next.cpu >= now.cpu) {
        const seconds = (next.at - now.at) / 1000;
        // The counters tell of runs that have ended: one that took long adds all of it at once.
        cpuShare = (next.cpu - now.cpu) / seconds;
        fuelRate = (next.fuel - now.fuel) / seconds;
      }
      now = next;
      draw();
    } catch (error) {
      if (!(error instanceof ApiError) && !signal.aborted) throw error;
    }
  };
  void ask();
  const clock = setInterval(() => void ask(), 3000);
  signal.addEventListener('abort', () => clearInterval(clock));
}
