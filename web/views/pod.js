// A pod: why it is as it is, its attempts along the time, what it used, its log as it is written.

import { ApiError, get, pathOf, remove } from '../lib/api.js';
import { fill, h, set } from '../lib/dom.js';
import { yamlView } from '../lib/editor.js';
import { eventList } from '../lib/events.js';
import { bytes, compact, percent, quantity } from '../lib/format.js';
import { inWords } from '../lib/job.js';
import { LogView } from '../lib/log_view.js';
import { confirm, toast, toastError } from '../lib/overlay.js';
import { POD_WORDS, explain, indexOf, podRecord, podState, podSummary, runOf, splitBacktrace, statuses, usageOf } from '../lib/pod.js';
import { duration, moment, serverNow, when } from '../lib/time.js';
import { announce, badge, button, card, empty, facts, setBadge, stateIcon, tabView } from '../lib/ui.js';
import { Informer } from '../lib/watch.js';
import { gantt } from './gantt.js';
import { jobHref, podHref } from './index.js';
import { labels } from './job_overview.js';

/** @param {import('./index.js').Context} context */
export function show({ root, params: [namespace, name], query, setQuery, signal, title }) {
  title(name);
  /** @type {Informer<any>} */
  const informer = new Informer({ path: pathOf('pods', namespace), query: { fieldSelector: `metadata.name=${name}` }, reduce: (pod) => pod });
  signal.addEventListener('abort', () => informer.stop());
  fill(root, empty('Loading…'));
  let uid = '';
  /** @type {any} */
  let last = null;
  const look = () => {
    const pod = [...informer.records.values()][0];
    if (informer.error) return fill(root, empty('This pod cannot be shown', h('p', {}, informer.error.message)));
    if (!pod && last && uid) {
      // What was read of it stays, and says that it is history.
      root.querySelector('.gone')?.remove();
      root.prepend(h('div', { class: 'notice gone', 'data-state': 'waiting', role: 'status' }, stateIcon('deleting'), h('p', {}, 'This pod has been deleted. What is shown is how it was.')));
      uid = '';
      return;
    }
    if (!pod) {
      if (informer.isComplete && !last) fill(root, empty(`There is no pod ${name} in ${namespace}`, h('p', {}, 'It may have been deleted: with its Job, or because there were too many.'), h('a', { class: 'button', href: '#/jobs', 'data-up': true }, 'To all Jobs')));
      return;
    }
    last = pod;
    if (pod.metadata.uid !== uid) {
      uid = pod.metadata.uid;
      page(root, pod, informer, { query, setQuery }, signal);
    }
  };
  informer.subscribe(look, signal);
  look();
}

/** @param {any} pod */
const jobOf = (pod) => pod.metadata.ownerReferences?.find((/** @type {any} */ o) => o.kind === 'Job')?.name ?? '';

/**
 * @param {HTMLElement} root
 * @param {any} first
 * @param {Informer<any>} informer
 * @param {Pick<import('./index.js').Context, 'query' | 'setQuery'>} address
 * @param {AbortSignal} signal
 */
function page(root, first, informer, { query, setQuery }, signal) {
  const { namespace, name, uid } = first.metadata;
  let pod = first;
  const job = jobOf(first);
  const index = indexOf(first);
  const state = badge('none', '', 'pill');
  const says = h('div', { class: 'notice live' });
  const tabs = tabView('Parts of the pod', [
    { id: 'log', label: 'Log', show: (panel, until) => logTab(panel, () => pod, informer, until) },
    { id: 'details', label: 'Details', show: (panel, until) => detailsTab(panel, () => pod, informer, until) },
    { id: 'events', label: 'Events', show: (panel, until) => eventList(panel, namespace, uid, until) },
    { id: 'yaml', label: 'YAML', show: (panel, until) => void yamlView(panel, pathOf('pods', namespace, name), { editable: true, hint: 'Of a pod, labels and annotations may be changed, and little else.' }, until) },
  ], query.get('tab') ?? 'log', (id) => {
    root.classList.toggle('log-page', id === 'log');
    setQuery({ tab: id === 'log' ? null : id });
  }, signal);
  const stop = button('Delete', async () => {
    const runs = podState(pod) === 'running' || podState(pod) === 'waiting';
    if (!await confirm(`Delete the pod ${name}?`, { danger: true, action: 'Delete', text: h('p', {}, runs ? `It is stopped, and its log goes with it.${job ? ' Its Job makes another one in its place if it still needs one.' : ''}` : 'Its log goes with it. This cannot be undone.') })) return;
    await remove(pathOf('pods', namespace, name)).then(() => toast(`${name}: deleted`, 'succeeded'), (error) => toastError(name, error));
  }, { icon: 'trash', kind: 'danger' });
  const attempts = h('div', { class: 'live' });
  fill(root,
    h('div', { class: 'head' }, h('div', { class: 'grow' },
      h('p', { class: 'crumbs' }, h('a', { href: '#/jobs' }, 'Jobs'), ` / ${namespace} / `, job ? h('a', { href: jobHref(namespace, job), 'data-up': true }, job) : 'no Job', index >= 0 && ` / index ${index}`),
      h('div', { class: 'row wrap' }, h('h1', {}, name), state)), h('div', { class: 'actions' }, stop)),
    says, card('Attempts', null, attempts), tabs.list, tabs.panel);

  /** Other pods for the same work: what failed before it, and what came after. @type {import('../lib/pod.js').PodRecord[]} */
  let others = [];
  let toldSays = '';
  let toldAttempts = '';
  const draw = () => {
    const found = [...informer.records.values()][0];
    if (found?.metadata.uid === uid) pod = found;
    const now = serverNow();
    const of = podState(pod);
    setBadge(state, of, POD_WORDS[of]);
    const { title, words, message } = story(pod, now);
    const all = [of, title, words, message].join('\n');
    if (all !== toldSays) {
      if (toldSays && of !== says.dataset.state) announce(`${name}: ${title}`);
      toldSays = all;
      const { text: said, backtrace } = splitBacktrace(message);
      set(says, { 'data-state': of });
      fill(says, h('span', { class: 'badge', 'data-state': of }, stateIcon(of)), h('div', { class: 'grow' },
        h('p', {}, h('strong', {}, title)), words && h('p', {}, words),
        said && h('pre', { class: 'detail', tabIndex: said.length > 400 ? 0 : null }, said),
        backtrace.length > 0 && h('details', { open: true }, h('summary', {}, `Backtrace of the module, ${backtrace.length} frames`), h('ol', { class: 'backtrace' }, backtrace.map((frame) => h('li', {}, frame.replace(/^\d+:\s*/, '')))))));
    }
    const rows = attemptRows(pod, others);
    const key = JSON.stringify(rows) + (rows.some((r) => Number.isNaN(r.to)) ? Math.floor(now / 500) : '');
    if (key !== toldAttempts) {
      toldAttempts = key;
      fill(attempts, gantt(rows, now));
    }
  };
  informer.subscribe(draw, signal);
  const clock = setInterval(draw, 500);
  signal.addEventListener('abort', () => clearInterval(clock));
  draw();

  // The pods of the same index, or of a Job of one completion, are attempts at the same work.
  const look = async () => {
    if (!job) return;
    const labelSelector = index >= 0
      ? `batch.kubernetes.io/job-name=${job},batch.kubernetes.io/job-completion-index=${index}` : `batch.kubernetes.io/job-name=${job}`;
    const list = await get(pathOf('pods', namespace), { query: { labelSelector, limit: 25 }, signal }).catch((error) => {
      if (error instanceof ApiError || signal.aborted) return null;
      throw error;
    });
    // Of a Job with many pods and no indexes nobody can say which is an attempt at which.
    if (!list || (index < 0 && list.metadata.continue)) return;
    const records = list.items.filter((/** @type {any} */ p) => p.metadata.uid !== uid).map(podRecord);
    const alone = index >= 0 || records.every((/** @type {any} */ p) => p.state !== 'succeeded') || podState(pod) !== 'succeeded';
    others = alone ? records.filter((/** @type {any} */ p) => index >= 0 || p.state !== 'succeeded' || podState(pod) === 'failed') : records.filter((/** @type {any} */ p) => p.state === 'failed');
    others.sort((a, b) => a.created - b.created);
    draw();
  };
  void look();
  const looking = setInterval(() => void look(), 5000);
  signal.addEventListener('abort', () => clearInterval(looking));
}

/**
 * What there is to say about it.
 * @param {any} pod
 * @param {number} now
 */
function story(pod, now) {
  const state = podState(pod);
  const { reason, why, exit, container } = explain(pod);
  const { started, finished } = runOf(pod);
  const took = duration(finished - started);
  const of = statuses(pod).length > 1 && container ? ` Container ${container}.` : '';
  const ends = statuses(pod).map((c) => c.state?.terminated).filter(Boolean);
  if (state === 'succeeded') return { title: `Succeeded in ${took}`, words: `Exit code 0.`, message: ends.map((e) => e.message).filter(Boolean).join('\n') };
  const trap = ends.map((e) => /^wasm trap: (.*)$/m.exec(e.message ?? '')?.[1]).find(Boolean);
  if (state === 'failed') return { title: `Failed: ${trap && reason === 'Error' ? `it trapped, ${trap}` : inWords(reason) || reason}`, words: `${reason}${Number.isFinite(exit) ? `, exit code ${exit}` : ''}${Number.isFinite(finished - started) ? `, after ${took}` : ''}.${of}`, message: [why, ...ends.filter((e) => e.exitCode !== 0).map((e) => e.message)].filter((m, i, all) => m && all.indexOf(m) === i).join('\n') };
  if (state === 'deleting') return { title: 'Being stopped', words: '', message: why };
  if (state === 'running') {
    const deadline = moment(pod.metadata.annotations?.['kiln.dev/deadline']);
    return { title: `Running for ${duration(Math.floor((now - started) / 1000) * 1000)}`, words: deadline > now ? `${duration(Math.ceil((deadline - now) / 1000) * 1000)} until its deadline.` : '', message: '' };
  }
  const last = statuses(pod).find((c) => c.state?.waiting && c.lastState?.terminated)?.lastState.terminated;
  return { title: reason ? `Waiting: ${inWords(reason) || reason}` : 'About to start', words: last ? `The last run: ${inWords(last.reason) || last.reason}, exit code ${last.exitCode}.` : '', message: why || last?.message || '' };
}

/**
 * @param {any} pod
 * @param {import('../lib/pod.js').PodRecord[]} others
 * @returns {import('./gantt.js').Row[]}
 */
function attemptRows(pod, others) {
  /** @type {import('./gantt.js').Row[]} */
  const rows = others.map((other) => ({ label: other.name, href: podHref(other.namespace, other.name), from: other.started, to: other.finished, state: other.state, words: podSummary(other) || POD_WORDS[other.state], current: false, begin: other.created }));
  const all = statuses(pod);
  const { started, finished } = runOf(pod);
  for (const c of all) {
    const label = all.length > 1 ? c.name : pod.metadata.name;
    const restarts = c.restartCount ?? 0;
    const earlier = c.lastState?.terminated;
    const first = rows.length;
    if (restarts > 1) rows.push({ label: `${label}, runs 1 to ${restarts - 1}`, from: NaN, to: NaN, state: 'failed', words: 'not kept', current: false, begin: NaN });
    if (earlier) rows.push({ label: `${label}, run ${restarts}`, from: moment(earlier.startedAt), to: moment(earlier.finishedAt), state: earlier.exitCode === 0 ? 'succeeded' : 'failed', words: `${earlier.reason}, exit code ${earlier.exitCode}`, current: false, begin: moment(pod.metadata.creationTimestamp) });
    const end = c.state?.terminated;
    const run = c.state?.running;
    const exact = all.length === 1 && restarts === 0;
    rows.push({
      label: rows.length > first ? `${label}, run ${restarts + 1}` : label, current: true, begin: rows.length > first ? NaN : moment(pod.metadata.creationTimestamp),
      from: exact ? started : moment(end?.startedAt ?? run?.startedAt), to: exact && end ? finished : end ? moment(end.finishedAt) : NaN,
      state: end ? (end.exitCode === 0 ? 'succeeded' : 'failed') : run ? 'running' : 'waiting',
      words: end ? (end.exitCode === 0 ? 'exit code 0' : `${end.reason}, exit code ${end.exitCode}`) : run ? 'running' : inWords(c.state?.waiting?.reason) || c.state?.waiting?.reason || 'waiting',
    });
  }
  if (all.length === 0) rows.push({ label: pod.metadata.name, from: NaN, to: NaN, state: podState(pod), words: explain(pod).reason || 'waiting', current: true, begin: moment(pod.metadata.creationTimestamp) });
  return rows.sort((a, b) => (a.begin || a.from || 0) - (b.begin || b.from || 0));
}

/**
 * @param {HTMLElement} panel
 * @param {() => any} pod
 * @param {Informer<any>} informer
 * @param {AbortSignal} signal
 */
function logTab(panel, pod, informer, signal) {
  const chooser = h('select', { 'aria-label': 'Container and run', onchange: () => open() });
  const view = new LogView(chooser, signal);
  panel.classList.add('grow-down');
  signal.addEventListener('abort', () => panel.classList.remove('grow-down'));
  fill(panel, view.element);
  let told = '';
  const offer = () => {
    const options = statuses(pod()).flatMap((c) => [
      [`${c.name}|`, c.name], ...(c.restartCount > 0 ? [[`${c.name}|previous`, `${c.name}, the run before`]] : []),
    ]);
    if (options.length === 0) options.push(...(pod().spec.containers ?? []).map((/** @type {any} */ c) => [`${c.name}|`, c.name]));
    const key = JSON.stringify(options);
    if (key === told) return;
    told = key;
    const before = chooser.value;
    fill(chooser, options.map(([value, label]) => h('option', { value }, label)));
    const main = `${pod().spec.containers?.[0]?.name}|`;
    chooser.value = options.some(([value]) => value === before) ? before : options.some(([value]) => value === main) ? main : options[0]?.[0] ?? '';
    chooser.hidden = options.length < 2;
    open();
  };
  const open = () => {
    const [container, previous] = chooser.value.split('|');
    view.open({ namespace: pod().metadata.namespace, pod: pod().metadata.name, container, previous: previous === 'previous', run: runs(pod(), container) });
  };
  informer.subscribe(() => (offer(), open()), signal);
  offer();
}

/** A container that is started again writes another log. @param {any} pod @param {string} container */
const runs = (pod, container) => statuses(pod).find((c) => c.name === container)?.restartCount ?? 0;

/**
 * @param {HTMLElement} panel
 * @param {() => any} pod
 * @param {Informer<any>} informer
 * @param {AbortSignal} signal
 */
function detailsTab(panel, pod, informer, signal) {
  let told = '';
  const draw = () => {
    if (told === pod().metadata.resourceVersion) return;
    told = pod().metadata.resourceVersion;
    const { metadata, spec, status = {} } = pod();
    const usage = usageOf(pod());
    const { started, finished } = runOf(pod());
    const now = serverNow();
    const specs = [...(spec.initContainers ?? []), ...(spec.containers ?? [])];
    const limit = quantity(spec.containers?.[0]?.resources?.limits?.memory);
    const fuelLimit = quantity(spec.containers?.[0]?.resources?.limits?.['kiln.dev/fuel']);
    const of = (/** @type {number} */ part, /** @type {number} */ whole) => (Number.isFinite(whole) && specs.length === 1 ? ` (${percent(part, whole)} of its limit)` : '');
    fill(panel, h('div', { class: 'columns' },
      card('What it used', null, usage ? facts([
        ['Fuel', `${compact(usage.fuel)}${of(usage.fuel, fuelLimit)}`], ['Most memory', `${bytes(usage.memory)}${of(usage.memory, limit)}`], ['Computing', duration(usage.cpu)], ['Time in all', duration(usage.wall)],
        ['Share of it computing', percent(usage.cpu, usage.wall)], ['Fuel per second', usage.cpu > 0 ? compact(usage.fuel / (usage.cpu / 1000)) : ''],
      ]) : h('p', { class: 'muted' }, 'It is told when the pod has ended.')),
      card('Details', null, facts([
        ['Node', spec.nodeName], ['Created', when(moment(metadata.creationTimestamp), now)], ['Started', when(started, now)], ['Ended', Number.isFinite(finished) && when(finished, now)],
        ['Restart policy', spec.restartPolicy], ['QoS', status.qosClass], ['UID', h('span', { class: 'mono small' }, metadata.uid)],
      ]), labels('Labels', metadata.labels))),
    specs.map((c) => {
      const now = statuses(pod()).find((s) => s.name === c.name);
      const end = now?.state?.terminated ?? now?.lastState?.terminated;
      return card(`Container ${c.name}`, null, facts([
        ['Module', h('span', { class: 'mono' }, c.image)], ['Digest', now?.imageID && h('span', { class: 'mono small' }, now.imageID)], ['Command', h('span', { class: 'mono' }, [...(c.command ?? []), ...(c.args ?? [])].join(' '))],
        ['State', Object.keys(now?.state ?? {})[0] ?? 'none'], ['Exit code', end && String(end.exitCode)], ['Reason', end?.reason], ['Restarts', String(now?.restartCount ?? 0)],
        ['Limits', Object.entries(c.resources?.limits ?? {}).map(([k, v]) => `${k} ${v}`).join(', ')], ['Requests', Object.entries(c.resources?.requests ?? {}).map(([k, v]) => `${k} ${v}`).join(', ')],
        ['Environment', (c.env ?? []).map((/** @type {any} */ e) => (e.valueFrom ? `${e.name} (from elsewhere)` : `${e.name}=${e.value ?? ''}`)).join(', ')],
        ['Volumes', (c.volumeMounts ?? []).map((/** @type {any} */ m) => `${m.mountPath} (${m.name}${m.readOnly ? ', read-only' : ''})`).join(', ')],
      ]), end?.message && h('pre', { class: 'block', tabIndex: 0, 'aria-label': 'Message' }, end.message));
    }));
  };
  informer.subscribe(draw, signal);
  draw();
}
