// The first tab of a Job: the map of its pods, what they took, its timeline and its facts.

import { bins, bytes, compact, count, percentile, plural } from '../lib/format.js';
import { histogram, swatch } from '../lib/chart.js';
import { atMost, fill, h, inSlices, text } from '../lib/dom.js';
import { timelineOf } from '../lib/explain.js';
import { CELL, CELL_WORDS, CellMap } from '../lib/grid.js';
import { recordOf, durationOf } from '../lib/job.js';
import { usageOf } from '../lib/pod.js';
import { ago, duration, exactly, serverNow, when } from '../lib/time.js';
import { button, card, facts, progressBar, stateIcon } from '../lib/ui.js';
import { toast } from '../lib/overlay.js';
import { cronHref, podHref } from './index.js';

/** @typedef {import('./job.js').Shared} Shared */

const FILLS = [
  '--border-strong',
  '--waiting-fill',
  '--running-fill',
  '--succeeded-fill',
  '--failed-fill',
  '--suspended-fill',
];

/**
 * @param {HTMLElement} panel
 * @param {Shared} shared
 * @param {AbortSignal} signal
 */
export function overview(panel, shared, signal) {
  const { map, pods } = shared;
  const cells = new CellMap(
    {
      label: 'Pods',
      size: () => map.size,
      state: (i) => map.state(i),
      describe: (i) => map.describe(i),
      open: (i) => {
        const pod = map.pod(i);
        if (pod) location.hash = podHref(pod.namespace, pod.name);
        else toast(map.describe(i));
      },
    },
    signal,
  );
  const legend = h('div', { class: 'legend' });
  const next = button('Next failure', () => cells.nextFailure(1), { kind: 'small', title: 'f' });
  const bar = progressBar('Completions');
  const shares = h('p', { class: 'small muted' });
  const distributions = h('div', { class: 'columns', hidden: true });
  const timeline = h('ol', { class: 'timeline live' });
  const about = h('div', { class: 'live' });
  const loading = h('span', { class: 'small muted' });
  fill(
    panel,
    card(
      map.isIndexed ? 'Indexes' : 'Pods',
      [loading, next],
      h('div', { class: 'stack tight' }, bar.element, shares, cells.element, legend),
    ),
    distributions,
    h('div', { class: 'columns' }, card('Timeline', null, timeline), card('Details', null, about)),
  );

  let toldStates = '';
  let toldLine = '';
  let toldFacts = '';
  const draw = () => {
    const { job } = shared;
    const now = serverNow();
    const record = recordOf(job);
    const tally = map.tally();
    const failed = tally[CELL.failed];
    next.hidden = failed === 0 || map.size < 2;
    const said = CELL_WORDS.map((word, i) => (tally[i] ? `${count(tally[i])} ${word}` : ''))
      .filter(Boolean)
      .join(', ');
    if (said !== toldStates) {
      toldStates = said;
      cells.setLabel(
        `${map.isIndexed ? 'Indexes' : 'Pods'}: ${said || 'none'}. Arrows move, Enter opens, f goes to the next failure. The tab Pods has the same as a list.`,
      );
      fill(
        legend,
        CELL_WORDS.map(
          (word, i) =>
            tally[i] > 0 && h('span', { class: 'row' }, swatch(FILLS[i]), `${word} `, h('b', {}, count(tally[i]))),
        ),
      );
    }
    text(loading, pods.isComplete ? '' : `Loading${pods.left ? ` ${count(pods.left)} more` : ''}…`);
    const whole = Math.max(record.completions ?? record.parallelism, 1);
    const done = Math.min(1, record.succeeded / whole);
    bar.update(
      done,
      record.state !== 'running' ? 0 : Math.min(record.active / whole, 1 - done),
      record.state === 'failed' ? 1 - done : 0,
    );
    text(
      shares,
      `${count(record.succeeded)} of ${record.completions === null ? 'at least 1' : count(record.completions)} succeeded${rate(record, now)}`,
    );
    cells.update();
    const line = timelineOf(job);
    const key = JSON.stringify(line) + Math.floor(now / 10_000);
    if (key !== toldLine) {
      toldLine = key;
      fill(
        timeline,
        line.map(({ at, state, title, text: words, sure }) =>
          h(
            'li',
            { 'data-state': state, class: sure ? '' : 'ahead' },
            h('span', { class: 'badge', 'data-state': state }, stateIcon(state)),
            h('div', { class: 'grow' }, h('strong', {}, title), words && h('p', { class: 'muted small' }, words)),
            h(
              'time',
              { class: 'muted small', datetime: exactly(at), title: sure ? `${ago(at, now)} ago` : '' },
              when(at, now),
            ),
          ),
        ),
      );
    }
    const entries = factsOf(job, now);
    const shown = JSON.stringify(
      entries.map(([name, value]) => [name, value instanceof Node ? value.textContent : value]),
    );
    if (shown !== toldFacts) {
      toldFacts = shown;
      fill(about, facts(entries), labels('Labels', job.metadata.labels));
    }
  };
  const soon = atMost(draw, shared.pace, signal);
  shared.changed(soon, signal);
  const clock = setInterval(soon, 1000);
  signal.addEventListener('abort', () => clearInterval(clock));
  draw();
  void distribute(shared, distributions, signal);
}

/** @param {import('../lib/job.js').JobRecord} record @param {number} now */
function rate(record, now) {
  const seconds = durationOf(record, now) / 1000;
  const ended = record.succeeded + record.failed;
  if (!(seconds >= 1) || ended < 10) return '';
  const perSecond = ended / seconds;
  const left = (record.completions ?? 0) - record.succeeded;
  const rest =
    record.state === 'running' && left > 0 && record.succeeded > 0
      ? `, about ${duration((left / (record.succeeded / seconds)) * 1000)} left`
      : '';
  return ` · ${compact(perSecond)} pods per second${rest}`;
}

/**
 * @param {any} job
 * @param {number} now
 * @returns {[string, import('../lib/dom.js').Children][]}
 */
function factsOf(job, now) {
  const { spec, status = {}, metadata } = job;
  const record = recordOf(job);
  const usage = usageOf(job);
  const template = spec.template?.spec ?? {};
  const seconds = (/** @type {number | undefined} */ n) => (n == null ? '' : duration(n * 1000));
  const images = [
    ...new Set(
      [...(template.initContainers ?? []), ...(template.containers ?? [])].map((/** @type {any} */ c) => c.image),
    ),
  ];
  return [
    ['Module', h('span', { class: 'mono' }, images.join(', '))],
    ['Mode', spec.completionMode === 'Indexed' ? 'Indexed' : 'Not indexed'],
    ['Completions', spec.completions == null ? 'any' : count(spec.completions)],
    ['Parallelism', count(spec.parallelism ?? 1)],
    ['Active, ready', `${count(status.active ?? 0)}, ${count(status.ready ?? 0)}`],
    ['Succeeded', count(status.succeeded ?? 0)],
    [
      'Failed',
      `${count(status.failed ?? 0)}${spec.backoffLimitPerIndex != null ? `, ${count(spec.backoffLimitPerIndex)} forgiven per index` : `, ${count(spec.backoffLimit ?? 6)} forgiven`}`,
    ],
    ['Duration', duration(durationOf(record, now))],
    ['Deadline', seconds(spec.activeDeadlineSeconds)],
    ['Restart policy', template.restartPolicy],
    ['Fuel', usage && compact(usage.fuel)],
    ['Computing', usage && duration(usage.cpu)],
    ['Most memory of a pod', usage && bytes(usage.memory)],
    ['CronJob', record.cron && h('a', { href: cronHref(record.namespace, record.cron) }, record.cron)],
    ['Kept after the end', seconds(spec.ttlSecondsAfterFinished)],
    ['Created', when(record.created, now)],
    ['UID', h('span', { class: 'mono small' }, metadata.uid)],
  ];
}

/** @param {string} title @param {Record<string, string> | undefined} map */
export function labels(title, map) {
  const entries = Object.entries(map ?? {});
  return (
    entries.length > 0 &&
    h(
      'div',
      { class: 'labels' },
      h('h3', {}, title),
      h(
        'div',
        { class: 'row wrap' },
        entries.map(([key, value]) => h('span', { class: 'label-tag' }, value ? `${key}=${value}` : key)),
      ),
    )
  );
}

/**
 * How long the pods took, and what they burned. With many pods it is gathered in slices, and seldom.
 * @param {Shared} shared
 * @param {HTMLElement} box
 * @param {AbortSignal} signal
 */
async function distribute({ pods }, box, signal) {
  let version = -1;
  while (!signal.aborted) {
    if (pods.version !== version && pods.isComplete) {
      version = pods.version;
      /** @type {{name: string, unit: (n: number) => string, values: number[]}[]} */
      const all = [
        { name: 'Duration of a pod', unit: duration, values: [] },
        { name: 'Fuel of a pod', unit: compact, values: [] },
        { name: 'Peak memory of a pod', unit: bytes, values: [] },
      ];
      await inSlices(
        pods.records.values(),
        (pod) => {
          if (Number.isFinite(pod.wall)) all[0].values.push(pod.wall);
          if (pod.fuel > 0) all[1].values.push(pod.fuel);
          if (pod.memory > 0) all[2].values.push(pod.memory);
        },
        signal,
      );
      if (signal.aborted) return;
      const shown = all.filter(({ values }) => values.length >= 2);
      // A typed array sorts by number, and fast.
      fill(
        box,
        shown.map(({ name, unit, values }) => {
          const sorted = Float64Array.from(values).sort();
          const at = (/** @type {number} */ share) => percentile(sorted, share);
          return card(
            name,
            h('span', { class: 'small muted' }, plural(values.length, 'pod')),
            histogram({
              label: name,
              unit,
              bins: bins(sorted, 32),
              marks: [
                ['median', at(0.5)],
                ['95 %', at(0.95)],
                ['most', sorted[sorted.length - 1]],
              ],
            }),
          );
        }),
      );
      box.hidden = shown.length === 0;
    }
    const wait = pods.records.size > 5000 ? 5000 : 1000;
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}
