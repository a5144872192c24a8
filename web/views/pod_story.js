// What there is to say about a pod, and its attempts: decided from its object. No DOM.

import { inWords } from '../lib/job.js';
import { POD_WORDS, explain, podState, podSummary, runOf, statuses } from '../lib/pod.js';
import { duration, moment } from '../lib/time.js';
import { podHref } from './index.js';

/**
 * What there is to say about it.
 * @param {any} pod
 * @param {number} now
 */
export function story(pod, now) {
  const state = podState(pod);
  const { reason, why, exit, container } = explain(pod);
  const { started, finished } = runOf(pod);
  const took = duration(finished - started);
  const of = statuses(pod).length > 1 && container ? ` Container ${container}.` : '';
  const ends = statuses(pod)
    .map((c) => c.state?.terminated)
    .filter(Boolean);
  if (state === 'succeeded')
    return {
      title: `Succeeded in ${took}`,
      words: `Exit code 0.`,
      message: ends
        .map((e) => e.message)
        .filter(Boolean)
        .join('\n'),
    };
  const trap = ends.map((e) => /^wasm trap: (.*)$/m.exec(e.message ?? '')?.[1]).find(Boolean);
  if (state === 'failed')
    return {
      title: `Failed: ${trap && reason === 'Error' ? `it trapped, ${trap}` : inWords(reason) || reason}`,
      words: `${reason}${Number.isFinite(exit) ? `, exit code ${exit}` : ''}${Number.isFinite(finished - started) ? `, after ${took}` : ''}.${of}`,
      message: [why, ...ends.filter((e) => e.exitCode !== 0).map((e) => e.message)]
        .filter((m, i, all) => m && all.indexOf(m) === i)
        .join('\n'),
    };
  if (state === 'deleting') return { title: 'Being stopped', words: '', message: why };
  if (state === 'running') {
    const deadline = moment(pod.metadata.annotations?.['kiln.dev/deadline']);
    return {
      title: `Running for ${duration(Math.floor((now - started) / 1000) * 1000)}`,
      words: deadline > now ? `${duration(Math.ceil((deadline - now) / 1000) * 1000)} until its deadline.` : '',
      message: '',
    };
  }
  const last = statuses(pod).find((c) => c.state?.waiting && c.lastState?.terminated)?.lastState.terminated;
  return {
    title: reason ? `Waiting: ${inWords(reason) || reason}` : 'About to start',
    words: last ? `The last run: ${inWords(last.reason) || last.reason}, exit code ${last.exitCode}.` : '',
    message: why || last?.message || '',
  };
}

/**
 * @param {any} pod
 * @param {import('../lib/pod.js').PodRecord[]} others
 * @returns {import('./gantt.js').Row[]}
 */
export function attemptRows(pod, others) {
  /** @type {import('./gantt.js').Row[]} */
  const rows = others.map((other) => ({
    label: other.name,
    href: podHref(other.namespace, other.name),
    from: other.started,
    to: other.finished,
    state: other.state,
    words: podSummary(other) || POD_WORDS[other.state],
    current: false,
    begin: other.created,
  }));
  const all = statuses(pod);
  const { started, finished } = runOf(pod);
  for (const c of all) {
    const label = all.length > 1 ? c.name : pod.metadata.name;
    const restarts = c.restartCount ?? 0;
    const earlier = c.lastState?.terminated;
    const first = rows.length;
    if (restarts > 1)
      rows.push({
        label: `${label}, runs 1 to ${restarts - 1}`,
        from: NaN,
        to: NaN,
        state: 'failed',
        words: 'not kept',
        current: false,
        begin: NaN,
      });
    if (earlier)
      rows.push({
        label: `${label}, run ${restarts}`,
        from: moment(earlier.startedAt),
        to: moment(earlier.finishedAt),
        state: earlier.exitCode === 0 ? 'succeeded' : 'failed',
        words: `${earlier.reason}, exit code ${earlier.exitCode}`,
        current: false,
        begin: moment(pod.metadata.creationTimestamp),
      });
    const end = c.state?.terminated;
    const run = c.state?.running;
    const exact = all.length === 1 && restarts === 0;
    rows.push({
      label: rows.length > first ? `${label}, run ${restarts + 1}` : label,
      current: true,
      begin: rows.length > first ? NaN : moment(pod.metadata.creationTimestamp),
      from: exact ? started : moment(end?.startedAt ?? run?.startedAt),
      to: exact && end ? finished : end ? moment(end.finishedAt) : NaN,
      state: end ? (end.exitCode === 0 ? 'succeeded' : 'failed') : run ? 'running' : 'waiting',
      words: end
        ? end.exitCode === 0
          ? 'exit code 0'
          : `${end.reason}, exit code ${end.exitCode}`
        : run
          ? 'running'
          : inWords(c.state?.waiting?.reason) || c.state?.waiting?.reason || 'waiting',
    });
  }
  if (all.length === 0)
    rows.push({
      label: pod.metadata.name,
      from: NaN,
      to: NaN,
      state: podState(pod),
      words: explain(pod).reason || 'waiting',
      current: true,
      begin: moment(pod.metadata.creationTimestamp),
    });
  return rows.sort((a, b) => (a.begin || a.from || 0) - (b.begin || b.from || 0));
}
