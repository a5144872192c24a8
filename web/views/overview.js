// What is going on: how many Jobs run, wait, succeed and fail, now and over the last minutes; how fast; the node; the
// modules; and what failed last, with its reason.

import { ApiError, get, pathOf, send } from '../lib/api.js';
import { legend, sparkline, timeChart } from '../lib/chart.js';
import { jobs as allJobs, throughput } from '../lib/cluster.js';
import { connection } from '../lib/connection.js';
import { atMost, fill, h, set, text } from '../lib/dom.js';
import { bytes, compact, count, digits, plural, quantity } from '../lib/format.js';
import { JOB_WORDS, completionsOf, durationInWords, inWords } from '../lib/job.js';
import { jobHistory } from '../lib/job_history.js';
import { samples, sum } from '../lib/metrics.js';
import { podRecord, podSummary } from '../lib/pod.js';
import { ago, serverNow } from '../lib/time.js';
import { badge, card, empty, progressBar, stateIcon } from '../lib/ui.js';
import { Informer, poll } from '../lib/watch.js';
import { jobHref, podHref } from './index.js';

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
    const link = h('a', { class: 'tile', href: `#/jobs?state=${state}`, 'data-state': state }, h('span', { class: 'tile-label' }, h('span', { class: 'badge', 'data-state': state }, stateIcon(state)), label), number, note);
    return { link, number, note };
  };
  const tiles = { running: tile('running', 'Running'), waiting: tile('waiting', 'Waiting'), succeeded: tile('succeeded', 'Succeeded'), failed: tile('failed', 'Failed') };
  const rateNumber = h('span', { class: 'tile-number' }, '0');
  const rateLine = sparkline();
  const rateTile = h('div', { class: 'tile' }, h('span', { class: 'tile-label' }, 'Pods per second'), rateNumber, rateLine.element);

  const FLOW = [{ id: 'running', label: 'Running', fill: '--running-fill' }, { id: 'waiting', label: 'Waiting', fill: '--waiting-fill' }];
  const ENDS = [{ id: 'succeeded', label: 'Succeeded', fill: '--succeeded-fill' }, { id: 'failed', label: 'Failed', fill: '--failed-fill' }];
  const flow = timeChart({ label: 'Jobs running and waiting over the last minutes', series: FLOW });
  const ends = timeChart({ label: 'Jobs that ended over the last minutes', series: ENDS, bars: true, height: 112 });
  const RATES = [{ id: 'succeeded', label: 'Succeeded', fill: '--succeeded-fill' }, { id: 'failed', label: 'Failed', fill: '--failed-fill' }];
  const speed = timeChart({ label: 'Pods per second', series: RATES, height: 112, unit: (n) => compact(n) });
  const spans = MINUTES.map((m) => h('button', { type: 'button', class: 'chip', 'aria-pressed': String(m === minutes), onclick: () => {
    minutes = m;
    sessionStorage.setItem('kiln.minutes', String(m));
    spans.forEach((b, i) => set(b, { 'aria-pressed': String(MINUTES[i] === m) }));
    draw();
  } }, `${m} m`));
  const failures = h('ol', { class: 'failures live' });
  const active = h('ol', { class: 'failures live' });
  const node = h('div', { class: 'stack tight live' }, h('p', { class: 'muted' }, 'Loading…'));
  const modules = h('div', { class: 'live' }, h('p', { class: 'muted' }, 'Loading…'));

  const page = h('div', { class: 'stack' },
    h('div', { class: 'tiles live' }, Object.values(tiles).map((t) => t.link), rateTile),
    h('div', { class: 'overview' },
      h('div', { class: 'stack' },
        card('Jobs', h('div', { class: 'chips', role: 'group', 'aria-label': 'Time span' }, spans), flow.element, legend(FLOW), h('h3', { class: 'between' }, 'Ended'), ends.element, legend(ENDS)),
        card('Pods per second', h('span', { class: 'small muted' }, 'since this page was opened'), speed.element, legend(RATES))),
      h('div', { class: 'stack' },
        card('Latest failures', h('a', { class: 'small', href: '#/jobs?state=failed&sort=-age' }, 'All'), failures),
        card('Under way', h('a', { class: 'small', href: '#/jobs?state=running,waiting' }, 'All'), active),
        card('Node', null, node),
        card('Modules', h('a', { class: 'small', href: '#/modules' }, 'All'), modules))));
  const welcome = h('div', { class: 'card', hidden: true }, empty('Nothing has run here yet', h('p', {}, 'Upload a WebAssembly module and run it as a Job, or use ', h('code', {}, 'kiln push'), ' and ', h('code', {}, 'kubectl apply'), '.'), h('a', { class: 'button primary', href: '#/new' }, 'New Job')));
  fill(root, h('div', { class: 'head' }, h('div', { class: 'grow' }, h('h1', {}, 'Overview'), h('p', { class: 'muted' }, namespace ? `Namespace ${namespace}` : 'All namespaces'))), welcome, page);

  let drawnFailures = '';
  let drawnActive = '';
  function draw() {
    if (informer.error) return fill(root, empty('The Jobs cannot be listed', h('p', {}, informer.error.message)));
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
    const recent = history.reduce((all, p) => ({ succeeded: all.succeeded + p.succeeded, failed: all.failed + p.failed }), { succeeded: 0, failed: 0 });
    text(tiles.succeeded.note, `${count(recent.succeeded)} in the last ${minutes} m`);
    text(tiles.failed.note, `${count(recent.failed)} in the last ${minutes} m`);
    const failed = mine.filter((job) => job.state === 'failed').sort((a, b) => (b.finished || 0) - (a.finished || 0)).slice(0, SHOWN);
    for (const job of failed) void explain(job);
    const failedKey = failed.map((job) => job.uid + job.finished + (reasons.get(job.uid)?.words ?? '')).join() + Math.floor(now / 10_000);
    if (failedKey !== drawnFailures) {
      drawnFailures = failedKey;
      fill(failures, failed.length ? failed.map((job) => failureRow(job, now)) : h('li', {}, empty('Nothing has failed')));
    }
    const under = mine.filter((job) => job.state === 'running' || job.state === 'waiting').sort((a, b) => b.created - a.created).slice(0, SHOWN);
    const activeKey = under.map((job) => `${job.uid}${job.state}${job.succeeded}${job.failed}`).join() + Math.floor(now / 1000);
    if (activeKey !== drawnActive) {
      drawnActive = activeKey;
      fill(active, under.length ? under.map((job) => h('li', {}, badge(job.state, '', 'bare'), h('div', { class: 'grow' },
        h('p', { class: 'truncate' }, h('a', { href: jobHref(job.namespace, job.name) }, job.name)), h('p', { class: 'small muted' }, `${JOB_WORDS[job.state]} · ${completionsOf(job)}${job.failed ? ` · ${count(job.failed)} failed` : ''}`)),
      h('span', { class: 'small muted' }, durationInWords(job, now)))) : h('li', {}, empty('Nothing runs')));
    }
  }

  /** @param {JobRecord} job @param {number} now */
  function failureRow(job, now) {
    const found = reasons.get(job.uid);
    return h('li', {}, badge('failed', '', 'bare'), h('div', { class: 'grow' },
      h('p', { class: 'truncate' }, h('a', { href: jobHref(job.namespace, job.name) }, job.name), !namespace && h('span', { class: 'muted small' }, ` ${job.namespace}`)),
      h('p', { class: 'small muted' }, inWords(job.reason) || job.message || job.reason),
      found?.pod && !found.words.startsWith(inWords(job.reason) || '-') && h('p', { class: 'small' }, h('a', { href: found.pod }, found.words))),
    h('span', { class: 'small muted' }, ago(job.finished, now)));
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
      const list = await get(pathOf('pods', job.namespace), { query: { labelSelector: `batch.kubernetes.io/job-name=${job.name}`, fieldSelector: 'status.phase=Failed', limit: 1 }, signal });
      const pod = list.items[0] && podRecord(list.items[0]);
      if (!pod) return;
      const trap = /^wasm trap: (.*)$/m.exec(pod.why)?.[1];
      reasons.set(key, { words: trap ? `It trapped: ${trap}` : podSummary(pod), pod: podHref(pod.namespace, pod.name) });
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
    const rates = throughput.rates(120, 1);
    speed.update(rates);
    rateLine.update(rates.slice(-40).map((r) => r.succeeded + r.failed));
    text(rateNumber, digits(throughput.rate(3)));
  }
  signal.addEventListener('abort', () => {
    clearInterval(clock);
    for (const chart of [flow, ends, speed]) chart.destroy();
  });
  draw();
  drawRate();
  watchNode(node, signal);
  void poll('/modules', 10_000, (list) => showModules(modules, list), signal, (error) => fill(modules, h('p', { class: 'muted' }, error instanceof Error ? error.message : String(error))));
}

/** @param {HTMLElement} box @param {{name: string, tag: string, size: number, pushed: string, digest: string}[]} list */
function showModules(box, list) {
  if (list.length === 0) return fill(box, h('p', { class: 'muted' }, 'None has been pushed yet.'));
  const distinct = new Map(list.map((m) => [m.digest, m.size]));
  const newest = [...list].sort((a, b) => (a.pushed < b.pushed ? 1 : -1)).slice(0, 4);
  fill(box, h('p', {}, h('b', {}, count(list.length)), list.length === 1 ? ' name, ' : ' names, ', h('b', {}, count(distinct.size)), ' different, ', h('b', {}, bytes([...distinct.values()].reduce((a, b) => a + b, 0)))),
    h('ul', { class: 'plain' }, newest.map((m) => h('li', { class: 'row' }, h('span', { class: 'mono truncate grow' }, `${m.name}:${m.tag}`), h('span', { class: 'small muted' }, bytes(m.size)), h('span', { class: 'small muted' }, `${ago(Date.parse(m.pushed), serverNow())}`)))));
}

/**
 * The node: how it is, what it has, and how much of it is in use.
 * @param {HTMLElement} box
 * @param {AbortSignal} signal
 */
function watchNode(box, signal) {
  /** @type {Informer<any>} */
  const nodes = new Informer({ path: pathOf('nodes'), reduce: (node) => node });
  signal.addEventListener('abort', () => nodes.stop());
  const NAMES = ['kiln_pods_running', 'kiln_pods_driven', 'kiln_guest_cpu_seconds_total', 'kiln_fuel_total', 'kiln_container_runs_total', 'kiln_store_writable'];
  /** @type {{at: number, cpu: number, fuel: number, running: number, driven: number, runs: number, writable: number} | null} */
  let now = null;
  let [cpuShare, fuelRate] = [NaN, NaN];
  const slots = progressBar('Pods running, of those that may run at once');
  const cpu = progressBar('Cores in use by guests');
  const head = h('div', {});
  const slotWords = h('span', { class: 'small muted' });
  const cpuWords = h('span', { class: 'small muted' });
  const foot = h('p', { class: 'small muted' });
  fill(box, head, h('div', { class: 'meter' }, h('span', {}, 'Pods'), slots.element, slotWords), h('div', { class: 'meter' }, h('span', {}, 'Cores'), cpu.element, cpuWords), foot);
  const draw = () => {
    const node = [...nodes.records.values()][0];
    if (!node) {
      fill(head, h('p', { class: 'muted' }, nodes.isComplete ? 'There is no node yet.' : 'Loading…'));
      return;
    }
    const { allocatable = {}, conditions = [], nodeInfo = {} } = node.status ?? {};
    const ready = conditions.find((/** @type {any} */ c) => c.type === 'Ready')?.status === 'True';
    const problems = conditions.filter((/** @type {any} */ c) => (c.type === 'Ready' ? c.status !== 'True' : c.status === 'True')).map((/** @type {any} */ c) => c.message || c.type);
    const words = node.spec?.unschedulable ? 'cordoned' : ready ? 'ready' : 'not ready';
    fill(head, h('p', { class: 'row' }, badge(problems.length ? 'failed' : node.spec?.unschedulable ? 'suspended' : 'succeeded', '', 'bare'), h('b', { class: 'truncate' }, node.metadata.name), h('span', { class: 'muted' }, words)), problems.map((/** @type {string} */ p) => h('p', { class: 'small field-error' }, p)));
    const most = quantity(allocatable.pods);
    const cores = quantity(allocatable.cpu);
    if (now) {
      slots.update(0, Math.min(1, now.running / most), 0);
      text(slotWords, `${count(now.running)} of ${count(most)}${now.driven > now.running ? `, ${count(now.driven - now.running)} about to run` : ''}`);
      cpu.update(0, Number.isFinite(cpuShare) ? Math.min(1, cpuShare / cores) : 0, 0);
      text(cpuWords, Number.isFinite(cpuShare) ? `${digits(Math.round(cpuShare * 100) / 100)} of ${digits(cores)}` : `${digits(cores)} in all`);
    }
    text(foot, [`${bytes(quantity(allocatable.memory))} of memory`, Number.isFinite(fuelRate) && fuelRate > 0 ? `${compact(fuelRate)} fuel per second` : '', now ? `${compact(now.runs)} runs since the start` : '', nodeInfo.containerRuntimeVersion?.replace('://', ' ')].filter(Boolean).join(' · '));
  };
  nodes.subscribe(draw, signal);
  const ask = async () => {
    if (connection.isHidden) return;
    try {
      const response = await send('/metrics', { query: { objects: false }, accept: 'text/plain', signal, timeout: 10_000 });
      const found = samples(await response.text(), NAMES);
      const next = { at: performance.now(), running: sum(found.kiln_pods_running), driven: sum(found.kiln_pods_driven), cpu: sum(found.kiln_guest_cpu_seconds_total), fuel: sum(found.kiln_fuel_total), runs: sum(found.kiln_container_runs_total), writable: sum(found.kiln_store_writable) };
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
