// What is going on: how many Jobs run, wait, succeed and fail, now and over the last minutes; how fast; the node; the
// modules; and what failed last, with its reason.

import { ApiError, get, pathOf } from '../lib/api.js';
import { legend, sparkline, timeChart } from '../lib/chart.js';
import { jobs as allJobs, throughput } from '../lib/cluster.js';
import { connection } from '../lib/connection.js';
import { atMost, fill, h, set, text } from '../lib/dom.js';
import { compact, count, digits, plural } from '../lib/format.js';
import { JOB_WORDS, completionsOf, durationInWords, inWords } from '../lib/job.js';
import { jobHistory } from '../lib/job_history.js';
import { podRecord, podSummary } from '../lib/pod.js';
import { ago, serverNow } from '../lib/time.js';
import { badge, card, empty, emptyPage, stateIcon } from '../lib/ui.js';
import { poll } from '../lib/watch.js';
import { jobHref, podHref } from './index.js';
import { showModules, watchNode } from './overview_node.js';

/** @typedef {import('../lib/job.js').JobRecord} JobRecord */

const MINUTES = [5, 15, 60];
const STEPS = 90;
const SHOWN = 6;

/** @param {import('./index.js').Context} context */
export function show({ root, namespace, signal, title }) {
  title('');
  const informer = allJobs.acquire(signal);
  let minutes = Number(sessionStorage.getItem('kiln.minutes')) || 15;

  // The figures, each a way into the list.
  const tile = (/** @type {string} */ state, /** @type {string} */ label) => {
    const number = h('span', { class: 'tile-number' }, '–');
    const note = h('span', { class: 'small muted' });
    const link = h(
      'a',
      { class: 'tile', href: `#/jobs?state=${state}`, 'data-state': state },
      h('span', { class: 'tile-label' }, h('span', { class: 'badge', 'data-state': state }, stateIcon(state)), label),
      number,
      note,
    );
    return { link, number, note };
  };
  const tiles = {
    running: tile('running', 'Running'),
    waiting: tile('waiting', 'Waiting'),
    succeeded: tile('succeeded', 'Succeeded'),
    failed: tile('failed', 'Failed'),
  };
  const rateNumber = h('span', { class: 'tile-number' }, '0');
  const rateLine = sparkline();
  const rateTile = h(
    'div',
    { class: 'tile' },
    h('span', { class: 'tile-label' }, 'Pods per second'),
    rateNumber,
    rateLine.element,
  );

  const FLOW = [
    { id: 'running', label: 'Running', fill: '--running-fill' },
    { id: 'waiting', label: 'Waiting', fill: '--waiting-fill' },
  ];
  const ENDS = [
    { id: 'succeeded', label: 'Succeeded', fill: '--succeeded-fill' },
    { id: 'failed', label: 'Failed', fill: '--failed-fill' },
  ];
  const flow = timeChart({ label: 'Jobs running and waiting over the last minutes', series: FLOW });
  const ends = timeChart({ label: 'Jobs that ended over the last minutes', series: ENDS, bars: true, height: 112 });
  const RATES = [
    { id: 'succeeded', label: 'Succeeded', fill: '--succeeded-fill' },
    { id: 'failed', label: 'Failed', fill: '--failed-fill' },
  ];
  const speed = timeChart({ label: 'Pods per second', series: RATES, height: 112, unit: (n) => compact(n) });
  const spans = MINUTES.map((m) =>
    h(
      'button',
      {
        type: 'button',
        class: 'chip',
        'aria-pressed': String(m === minutes),
        onclick: () => {
          minutes = m;
          sessionStorage.setItem('kiln.minutes', String(m));
          spans.forEach((b, i) => set(b, { 'aria-pressed': String(MINUTES[i] === m) }));
          draw();
        },
      },
      `${m} m`,
    ),
  );
  const failures = h('ol', { class: 'failures live' });
  const active = h('ol', { class: 'failures live' });
  const node = h('div', { class: 'stack tight live' }, h('p', { class: 'muted' }, 'Loading…'));
  const modules = h('div', { class: 'live' }, h('p', { class: 'muted' }, 'Loading…'));

  const page = h(
    'div',
    { class: 'stack' },
    h(
      'div',
      { class: 'tiles live' },
      Object.values(tiles).map((t) => t.link),
      rateTile,
    ),
    h(
      'div',
      { class: 'overview' },
      h(
        'div',
        { class: 'stack' },
        card(
          'Jobs',
          h('div', { class: 'chips', role: 'group', 'aria-label': 'Time span' }, spans),
          flow.element,
          legend(FLOW),
          h('h3', { class: 'between' }, 'Ended'),
          ends.element,
          legend(ENDS),
        ),
        card(
          'Pods per second',
          h('span', { class: 'small muted' }, 'since this page was opened'),
          speed.element,
          legend(RATES),
        ),
      ),
      h(
        'div',
        { class: 'stack' },
        card('Latest failures', h('a', { class: 'small', href: '#/jobs?state=failed&sort=-age' }, 'All'), failures),
        card('Under way', h('a', { class: 'small', href: '#/jobs?state=running,waiting' }, 'All'), active),
        card('Node', null, node),
        card('Modules', h('a', { class: 'small', href: '#/modules' }, 'All'), modules),
      ),
    ),
  );
  const welcome = h(
    'div',
    { class: 'card', hidden: true },
    empty(
      'Nothing has run here yet',
      h(
        'p',
        {},
        'Upload a WebAssembly module and run it as a Job, or use ',
        h('code', {}, 'kiln push'),
        ' and ',
        h('code', {}, 'kubectl apply'),
        '.',
      ),
      h('a', { class: 'button primary', href: '#/new' }, 'New Job'),
    ),
  );
  fill(
    root,
    h(
      'div',
      { class: 'head' },
      h(
        'div',
        { class: 'grow' },
        h('h1', {}, 'Overview'),
        h('p', { class: 'muted' }, namespace ? `Namespace ${namespace}` : 'All namespaces'),
      ),
    ),
    welcome,
    page,
  );

  let drawnFailures = '';
  let drawnActive = '';
  function draw() {
    if (informer.error) return fill(root, emptyPage('The Jobs cannot be listed', h('p', {}, informer.error.message)));
    const now = serverNow();
    /** @type {JobRecord[]} */
    const mine = [];
    /** @type {Record<string, number>} */
    const tally = { running: 0, waiting: 0, succeeded: 0, failed: 0, suspended: 0, deleting: 0 };
    let pods = 0;
    for (const job of informer.records.values()) {
      if (namespace && job.namespace !== namespace) continue;
      mine.push(job);
      tally[job.state]++;
      if (job.state === 'running' || job.state === 'waiting') pods += job.active;
    }
    welcome.hidden = mine.length > 0 || !informer.isComplete;
    page.hidden = !welcome.hidden;
    for (const [state, { number }] of Object.entries(tiles)) text(number, count(tally[state]));
    text(tiles.running.note, pods ? `${plural(pods, 'pod')} active` : '');
    text(tiles.waiting.note, tally.suspended ? `${count(tally.suspended)} suspended` : '');
    const history = jobHistory(mine, now, minutes * 60_000, STEPS);
    flow.update(history);
    ends.update(history.slice(1));
    const recent = history.reduce(
      (all, p) => ({ succeeded: all.succeeded + p.succeeded, failed: all.failed + p.failed }),
      { succeeded: 0, failed: 0 },
    );
    text(tiles.succeeded.note, `${count(recent.succeeded)} in the last ${minutes} m`);
    text(tiles.failed.note, `${count(recent.failed)} in the last ${minutes} m`);
    const failed = mine
      .filter((job) => job.state === 'failed')
      .sort((a, b) => (b.finished || 0) - (a.finished || 0))
      .slice(0, SHOWN);
    for (const job of failed) void explain(job);
    const failedKey =
      failed.map((job) => job.uid + job.finished + (reasons.get(job.uid)?.words ?? '')).join() +
      Math.floor(now / 10_000);
    if (failedKey !== drawnFailures) {
      drawnFailures = failedKey;
      fill(
        failures,
        failed.length ? failed.map((job) => failureRow(job, now)) : h('li', {}, empty('Nothing has failed')),
      );
    }
    const under = mine
      .filter((job) => job.state === 'running' || job.state === 'waiting')
      .sort((a, b) => b.created - a.created)
      .slice(0, SHOWN);
    const activeKey =
      under.map((job) => `${job.uid}${job.state}${job.succeeded}${job.failed}`).join() + Math.floor(now / 1000);
    if (activeKey !== drawnActive) {
      drawnActive = activeKey;
      fill(
        active,
        under.length
          ? under.map((job) =>
              h(
                'li',
                {},
                badge(job.state, '', 'bare'),
                h(
                  'div',
                  { class: 'grow' },
                  h('p', { class: 'truncate' }, h('a', { href: jobHref(job.namespace, job.name) }, job.name)),
                  h(
                    'p',
                    { class: 'small muted' },
                    `${JOB_WORDS[job.state]} · ${completionsOf(job)}${job.failed ? ` · ${count(job.failed)} failed` : ''}`,
                  ),
                ),
                h('span', { class: 'small muted' }, durationInWords(job, now)),
              ),
            )
          : h('li', {}, empty('Nothing runs')),
      );
    }
  }

  /** @param {JobRecord} job @param {number} now */
  function failureRow(job, now) {
    const found = reasons.get(job.uid);
    return h(
      'li',
      {},
      badge('failed', '', 'bare'),
      h(
        'div',
        { class: 'grow' },
        h(
          'p',
          { class: 'truncate' },
          h('a', { href: jobHref(job.namespace, job.name) }, job.name),
          !namespace && h('span', { class: 'muted small' }, ` ${job.namespace}`),
        ),
        h('p', { class: 'small muted' }, inWords(job.reason) || job.message || job.reason),
        found?.pod &&
          !found.words.startsWith(inWords(job.reason) || '-') &&
          h('p', { class: 'small' }, h('a', { href: found.pod }, found.words)),
      ),
      h('span', { class: 'small muted' }, ago(job.finished, now)),
    );
  }

  // Why the pods of the latest failures failed: asked for once for each.
  /** @type {Map<string, {words: string, pod: string}>} */
  const reasons = new Map();
  /** @param {JobRecord} job */
  async function explain(job) {
    const key = job.uid;
    if (reasons.has(key)) return;
    reasons.set(key, { words: '', pod: '' });
    try {
      const list = await get(pathOf('pods', job.namespace), {
        query: {
          labelSelector: `batch.kubernetes.io/job-name=${job.name}`,
          fieldSelector: 'status.phase=Failed',
          limit: 1,
        },
        signal,
      });
      const pod = list.items[0] && podRecord(list.items[0]);
      if (!pod) return;
      const trap = /^wasm trap: (.*)$/m.exec(pod.why)?.[1];
      reasons.set(key, {
        words: trap ? `It trapped: ${trap}` : podSummary(pod),
        pod: podHref(pod.namespace, pod.name),
      });
      drawnFailures = '';
      draw();
    } catch (error) {
      reasons.delete(key);
      if (!(error instanceof ApiError) && !signal.aborted) throw error;
    }
  }

  const soon = atMost(draw, () => (informer.records.size > 2000 ? 700 : 150), signal);
  informer.subscribe(soon, signal);
  const clock = setInterval(() => {
    if (connection.isHidden) return;
    soon();
    drawRate();
  }, 1000);
  function drawRate() {
    const rates = throughput.rates(120, namespace);
    speed.update(rates);
    rateLine.update(rates.slice(-40).map((r) => r.succeeded + r.failed));
    text(rateNumber, digits(throughput.rate(3, namespace)));
  }
  signal.addEventListener('abort', () => {
    clearInterval(clock);
    for (const chart of [flow, ends, speed]) chart.destroy();
  });
  draw();
  drawRate();
  watchNode(node, signal);
  void poll(
    '/modules',
    10_000,
    (list) => showModules(modules, list),
    signal,
    (error) => fill(modules, h('p', { class: 'muted' }, error instanceof Error ? error.message : String(error))),
  );
}
