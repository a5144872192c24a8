// A pod: why it is as it is, its attempts along the time, what it used, its log as it is written.

import { ApiError, get, pathOf, remove } from '../lib/api.js';
import { fill, h, set } from '../lib/dom.js';
import { yamlView } from '../lib/editor.js';
import { eventList } from '../lib/events.js';
import { confirm, toast, toastError } from '../lib/overlay.js';
import { POD_WORDS, indexOf, podRecord, podState, splitBacktrace } from '../lib/pod.js';
import { serverNow } from '../lib/time.js';
import { announce, badge, button, card, emptyPage, setBadge, stateIcon, tabView } from '../lib/ui.js';
import { Informer } from '../lib/watch.js';
import { gantt } from './gantt.js';
import { jobHref } from './index.js';
import { attemptRows, story } from './pod_story.js';
import { detailsTab, logTab } from './pod_tabs.js';

/** @param {import('./index.js').Context} context */
export function show({ root, params: [namespace, name], query, setQuery, signal, title }) {
  title(name);
  /** @type {Informer<any>} */
  const informer = new Informer({
    path: pathOf('pods', namespace),
    query: { fieldSelector: `metadata.name=${name}` },
    reduce: (pod) => pod,
  });
  signal.addEventListener('abort', () => informer.stop());
  fill(root, emptyPage('Loading…'));
  let uid = '';
  /** @type {any} */
  let last = null;
  const look = () => {
    const pod = [...informer.records.values()][0];
    if (informer.error) return fill(root, emptyPage('This pod cannot be shown', h('p', {}, informer.error.message)));
    if (!pod && last && uid) {
      // What was read of it stays, and says that it is history.
      root.querySelector('.gone')?.remove();
      root.prepend(
        h(
          'div',
          { class: 'notice gone', 'data-state': 'waiting', role: 'status' },
          stateIcon('deleting'),
          h('p', {}, 'This pod has been deleted. What is shown is how it was.'),
        ),
      );
      uid = '';
      return;
    }
    if (!pod) {
      if (informer.isComplete && !last)
        fill(
          root,
          emptyPage(
            `There is no pod ${name} in ${namespace}`,
            h('p', {}, 'It may have been deleted: with its Job, or because there were too many.'),
            h('a', { class: 'button', href: '#/jobs', 'data-up': true }, 'To all Jobs'),
          ),
        );
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
  const tabs = tabView(
    'Parts of the pod',
    [
      { id: 'log', label: 'Log', show: (panel, until) => logTab(panel, () => pod, informer, until) },
      { id: 'details', label: 'Details', show: (panel, until) => detailsTab(panel, () => pod, informer, until) },
      { id: 'events', label: 'Events', show: (panel, until) => eventList(panel, namespace, uid, until) },
      {
        id: 'yaml',
        label: 'YAML',
        show: (panel, until) =>
          void yamlView(
            panel,
            pathOf('pods', namespace, name),
            { editable: true, hint: 'Of a pod, labels and annotations may be changed, and little else.' },
            until,
          ),
      },
    ],
    query.get('tab') ?? 'log',
    (id) => {
      root.classList.toggle('log-page', id === 'log');
      setQuery({ tab: id === 'log' ? null : id });
    },
    signal,
  );
  const stop = button(
    'Delete',
    async () => {
      const runs = podState(pod) === 'running' || podState(pod) === 'waiting';
      if (
        !(await confirm(`Delete the pod ${name}?`, {
          danger: true,
          action: 'Delete',
          text: h(
            'p',
            {},
            runs
              ? `It is stopped, and its log goes with it.${job ? ' Its Job makes another one in its place if it still needs one.' : ''}`
              : 'Its log goes with it. This cannot be undone.',
          ),
        }))
      )
        return;
      await remove(pathOf('pods', namespace, name)).then(
        () => toast(`${name}: deleted`, 'succeeded'),
        (error) => toastError(name, error),
      );
    },
    { icon: 'trash', kind: 'danger' },
  );
  const attempts = h('div', { class: 'live' });
  fill(
    root,
    h(
      'div',
      { class: 'head' },
      h(
        'div',
        { class: 'grow' },
        h(
          'p',
          { class: 'crumbs' },
          h('a', { href: '#/jobs' }, 'Jobs'),
          ` / ${namespace} / `,
          job ? h('a', { href: jobHref(namespace, job), 'data-up': true }, job) : 'no Job',
          index >= 0 && ` / index ${index}`,
        ),
        h('div', { class: 'row wrap' }, h('h1', {}, name), state),
      ),
      h('div', { class: 'actions' }, stop),
    ),
    says,
    card('Attempts', null, attempts),
    tabs.list,
    tabs.panel,
  );

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
      fill(
        says,
        h('span', { class: 'badge', 'data-state': of }, stateIcon(of)),
        h(
          'div',
          { class: 'grow' },
          h('p', {}, h('strong', {}, title)),
          words && h('p', {}, words),
          said && h('pre', { class: 'detail', tabIndex: said.length > 400 ? 0 : null }, said),
          backtrace.length > 0 &&
            h(
              'details',
              { open: true },
              h('summary', {}, `Backtrace of the module, ${backtrace.length} frames`),
              h(
                'ol',
                { class: 'backtrace' },
                backtrace.map((frame) => h('li', {}, frame.replace(/^\d+:\s*/, ''))),
              ),
            ),
        ),
      );
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
    const labelSelector =
      index >= 0
        ? `batch.kubernetes.io/job-name=${job},batch.kubernetes.io/job-completion-index=${index}`
        : `batch.kubernetes.io/job-name=${job}`;
    const list = await get(pathOf('pods', namespace), { query: { labelSelector, limit: 25 }, signal }).catch(
      (error) => {
        if (error instanceof ApiError || signal.aborted) return null;
        throw error;
      },
    );
    // Of a Job with many pods and no indexes nobody can say which is an attempt at which.
    if (!list || (index < 0 && list.metadata.continue)) return;
    const records = list.items.filter((/** @type {any} */ p) => p.metadata.uid !== uid).map(podRecord);
    const alone =
      index >= 0 || records.every((/** @type {any} */ p) => p.state !== 'succeeded') || podState(pod) !== 'succeeded';
    others = alone
      ? records.filter((/** @type {any} */ p) => index >= 0 || p.state !== 'succeeded' || podState(pod) === 'failed')
      : records.filter((/** @type {any} */ p) => p.state === 'failed');
    others.sort((a, b) => a.created - b.created);
    draw();
  };
  void look();
  const looking = setInterval(() => void look(), 5000);
  signal.addEventListener('abort', () => clearInterval(looking));
}
