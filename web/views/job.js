// A Job: what it is doing and why, its pods as a map, how long they take, what has happened to it, its YAML.

import { ACTIONS, doWith } from '../lib/actions.js';
import { ApiError, get, pathOf } from '../lib/api.js';
import { atMost, fill, h, set } from '../lib/dom.js';
import { yamlView } from '../lib/editor.js';
import { eventList } from '../lib/events.js';
import { explainJob } from '../lib/explain.js';
import { JOB_WORDS, recordOf, stateOf } from '../lib/job.js';
import { podRecord } from '../lib/pod.js';
import { moment, serverNow } from '../lib/time.js';
import { announce, badge, button, empty, setBadge, stateIcon, tabView } from '../lib/ui.js';
import { Informer } from '../lib/watch.js';
import { podHref } from './index.js';
import { overview } from './job_overview.js';
import { PodMap } from './job_map.js';
import { podTable } from './job_pods.js';

/** @typedef {import('../lib/pod.js').PodRecord} PodRecord */

/**
 * What the tabs of a Job share.
 * @typedef {object} Shared
 * @property {any} job as it is now
 * @property {Informer<PodRecord>} pods of all its attempts
 * @property {PodMap} map
 * @property {() => PodRecord[]} current the pods of its present attempt
 * @property {(listener: () => void, signal: AbortSignal) => void} changed tells of changes of the Job and of its pods
 * @property {() => number} pace milliseconds between two looks at all pods
 */

/** @param {import('./index.js').Context} context */
export async function show({ root, params: [namespace, name], query, setQuery, signal, title }) {
  title(name);
  /** @type {Informer<any>} */
  const informer = new Informer({ path: pathOf('jobs', namespace), query: { fieldSelector: `metadata.name=${name}` }, reduce: (job) => job });
  signal.addEventListener('abort', () => informer.stop());
  fill(root, empty('Loading…'));
  let uid = '';
  /** @type {AbortController | null} */
  let inner = null;
  const look = () => {
    const job = [...informer.records.values()][0];
    if (informer.error) return fill(root, empty('This Job cannot be shown', h('p', {}, informer.error.message)));
    if (!job) {
      if (!informer.isComplete) return;
      inner?.abort();
      uid = '';
      fill(root, crumbs(namespace), empty(`There is no Job ${name} in ${namespace}`, h('p', {}, 'It may have been deleted.'), h('a', { class: 'button', href: '#/jobs', 'data-up': true }, 'To all Jobs')));
      return;
    }
    // One of the same name that was made after it is another Job.
    if (job.metadata.uid !== uid) {
      uid = job.metadata.uid;
      inner?.abort();
      inner = new AbortController();
      page(root, job, informer, { query, setQuery }, AbortSignal.any([signal, inner.signal]));
    }
  };
  informer.subscribe(look, signal);
  look();
}

/** @param {string} namespace */
const crumbs = (namespace) => h('p', { class: 'crumbs' }, h('a', { href: '#/jobs', 'data-up': true }, 'Jobs'), ` / ${namespace}`);

/** @param {any} job */
function selectorOf(job) {
  const { matchLabels = {}, matchExpressions = [] } = job.spec.selector ?? {};
  /** @type {string[]} */
  const parts = Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`);
  for (const { key, operator, values = [] } of matchExpressions) {
    if (operator === 'In') parts.push(`${key} in (${values.join(',')})`);
    else if (operator === 'NotIn') parts.push(`${key} notin (${values.join(',')})`);
    else parts.push(operator === 'Exists' ? key : `!${key}`);
  }
  return parts.join(',');
}

/**
 * @param {HTMLElement} root
 * @param {any} first
 * @param {Informer<any>} informer
 * @param {Pick<import('./index.js').Context, 'query' | 'setQuery'>} address
 * @param {AbortSignal} signal
 */
function page(root, first, informer, { query, setQuery }, signal) {
  const { namespace, name, uid } = first.metadata;
  const map = new PodMap(first);
  /** @type {Informer<PodRecord>} */
  const pods = new Informer({ path: pathOf('pods', namespace), query: { labelSelector: selectorOf(first) }, reduce: podRecord, seen: (pod, before) => map.take(pod, before) });
  signal.addEventListener('abort', () => pods.stop());

  /** @type {Shared} */
  const shared = {
    job: first, pods, map,
    current: () => {
      const began = moment(shared.job.status?.startTime) - 1000;
      const all = [...pods.records.values()];
      return Number.isNaN(began) ? all : all.filter((pod) => pod.created >= began || pod.state === 'running');
    },
    pace: () => (pods.records.size > 20_000 ? 2000 : pods.records.size > 2000 ? 600 : 50),
    changed: (listener, until) => {
      informer.subscribe(listener, until);
      pods.subscribe(listener, until);
    },
  };

  const state = badge('none', '', 'pill');
  const actions = h('div', { class: 'actions' });
  const says = h('div', { class: 'notice live' });
  const tabs = tabView('Parts of the Job', [
    { id: 'overview', label: 'Overview', show: (panel, until) => overview(panel, shared, until) },
    { id: 'pods', label: 'Pods', show: (panel, until) => podTable(panel, shared, { query, setQuery }, until) },
    { id: 'events', label: 'Events', show: (panel, until) => eventList(panel, namespace, uid, until) },
    { id: 'yaml', label: 'YAML', show: (panel, until) => void yamlView(panel, pathOf('jobs', namespace, name), {
      editable: true, hint: 'While a Job runs, parallelism, backoffLimit, activeDeadlineSeconds, suspend, ttlSecondsAfterFinished, labels and annotations may be changed; the template may not.',
    }, until) },
  ], query.get('tab') ?? 'overview', (id) => {
    root.classList.toggle('full', id === 'pods');
    setQuery({ tab: id === 'overview' ? null : id });
  }, signal);
  fill(root, h('div', { class: 'head' }, h('div', { class: 'grow' }, crumbs(namespace), h('div', { class: 'row wrap' }, h('h1', {}, name), state)), actions), says, tabs.list, tabs.panel);

  let told = '';
  let buttons = '';
  let warning = '';
  const draw = () => {
    const job = [...informer.records.values()][0];
    if (!job || job.metadata.uid !== uid) return;
    shared.job = job;
    map.setJob(job);
    const now = serverNow();
    const record = recordOf(job);
    setBadge(state, record.state, JOB_WORDS[record.state]);
    const fitting = Object.values(ACTIONS).filter((action) => action.fits(record));
    // Rerunning what failed is rerunning all of it where there are no indexes.
    const shown = fitting.filter((action) => action !== ACTIONS.rerunFailed || record.indexed);
    const key = shown.map((a) => a.id).join();
    if (key !== buttons) {
      buttons = key;
      fill(actions, shown.map((action) => button(action.label, () => void doWith(action, [recordOf(shared.job)]), { icon: action.icon, kind: action.danger ? 'danger' : '' })));
    }
    const { title, text: words, detail, pod, module, state: of } = explainJob(job, shared.current(), now);
    const all = [title, words, detail, warning, pod?.name].join('\n');
    if (all !== told) {
      if (told && record.state !== says.dataset.of) announce(`${name}: ${title}`);
      told = all;
      set(says, { 'data-state': of, 'data-of': record.state });
      fill(says, h('span', { class: 'badge', 'data-state': of }, stateIcon(of)), h('div', { class: 'grow' },
        h('p', {}, h('strong', {}, title)), h('p', {}, words), detail && !words.includes(detail) && h('p', { class: 'detail mono' }, detail.split('\n').slice(0, 4).join('\n')), warning && h('p', { class: 'detail' }, warning)),
      module && h('a', { class: 'button small', href: '#/modules' }, 'Modules'),
      pod && h('a', { class: 'button small', href: podHref(pod.namespace, pod.name) }, 'Open the pod'));
    }
    tabs.setLabel('pods', pods.records.size ? `Pods ${pods.records.size.toLocaleString('en-US')}` : 'Pods');
  };
  const soon = atMost(draw, shared.pace, signal);
  shared.changed(soon, signal);
  const clock = setInterval(soon, 1000);
  signal.addEventListener('abort', () => clearInterval(clock));
  draw();

  // What a pod waits for may stand in its events only, such as a volume that is not there.
  const look = async () => {
    const waiting = stateOf(shared.job) === 'waiting' ? shared.current().find((pod) => pod.state === 'waiting' && serverNow() - pod.created > 2000) : undefined;
    if (!waiting) {
      warning = '';
      return;
    }
    const list = await get(pathOf('events', namespace), { query: { fieldSelector: `involvedObject.uid=${waiting.uid},type=Warning` }, signal }).catch((error) => {
      if (error instanceof ApiError) return null;
      throw error;
    });
    const last = list?.items.at(-1);
    warning = last ? `${last.reason}: ${last.message}` : '';
    draw();
  };
  const looking = setInterval(() => void look().catch(() => {}), 3000);
  signal.addEventListener('abort', () => clearInterval(looking));
}
