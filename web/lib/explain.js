// What a Job is doing and, when it waits, why: decided from the Job, its pods and the time. No DOM, no clock.

import { count, plural } from './format.js';
import { condition, inWords, stateOf } from './job.js';
import { duration, moment } from './time.js';

/** @typedef {import('./pod.js').PodRecord} PodRecord */
/** @typedef {{state: string, title: string, text: string, detail?: string, pod?: PodRecord, module?: string}} Explanation */

/**
 * @param {any} job
 * @param {Iterable<PodRecord>} pods
 * @param {number} now
 * @returns {Explanation}
 */
export function explainJob(job, pods, now) {
  const { spec = {}, status = {} } = job;
  const { active = 0, succeeded = 0, failed = 0 } = status;
  const state = stateOf(job);
  const done = spec.completions == null ? plural(succeeded, 'pod') + ' succeeded' : `${count(succeeded)} of ${count(spec.completions)} done`;
  const end = condition(job, 'Complete') ?? condition(job, 'Failed');
  const took = duration(moment(status.completionTime ?? end?.lastTransitionTime) - moment(status.startTime));
  const seen = look(pods);
  if (state === 'succeeded') {
    const words = failed > 0 ? `${done}, after ${plural(failed, 'failed pod')}.` : `${done}.`;
    return { state, title: took === '0 s' ? 'Succeeded within a second' : `Succeeded in ${took}`, text: end.reason === 'SuccessPolicy' ? `${words} Its success policy was met.` : words };
  }
  if (state === 'failed') {
    const because = inWords(end.reason) || end.reason;
    const pod = seen.lastFailed;
    const why = pod ? `${inWords(pod.reason) || pod.reason}${Number.isFinite(pod.exit) ? `, exit code ${pod.exit}` : ''}` : '';
    return { state, title: `Failed: ${because}`, text: why ? `The last pod that failed: ${why}.` : end.message ?? '', detail: pod?.why || end.message, pod };
  }
  if (state === 'deleting') return { state, title: 'Being deleted', text: job.metadata.finalizers?.length ? `Waits for ${job.metadata.finalizers.join(', ')}.` : 'It goes when its pods are gone.' };
  const manager = spec.managedBy;
  if (manager && manager !== 'kubernetes.io/job-controller') return { state: 'waiting', title: `Left to ${manager}`, text: 'Its field managedBy names another controller, so kiln does nothing with it.' };
  if (state === 'suspended') return { state, title: 'Suspended', text: active > 0 ? `${plural(active, 'pod')} are being stopped.` : `It runs nothing until it is resumed. ${done}.` };
  const target = condition(job, 'FailureTarget');
  if (target) return { state: 'waiting', title: `About to fail: ${inWords(target.reason) || target.reason}`, text: `Waits until ${plural(active, 'pod')} have ended.`, detail: target.message };
  if (condition(job, 'SuccessCriteriaMet')) return { state: 'running', title: 'About to succeed', text: `Enough has succeeded; ${plural(active, 'pod')} are being stopped.` };
  const left = deadline(job, now);
  if (seen.running > 0 || state === 'running') {
    const waits = seen.waiting > 0 ? `, ${count(seen.waiting)} waiting${seen.why ? ` (${inWords(seen.why.reason) || seen.why.reason})` : ''}` : '';
    return { state: 'running', title: `Running ${plural(Math.max(seen.running, active - seen.waiting, 0), 'pod')}`, text: `${done}${failed ? `, ${count(failed)} failed` : ''}${waits}.${left}` };
  }
  if (seen.why) {
    const { reason, why } = seen.why;
    const image = spec.template?.spec?.containers?.[0]?.image ?? '';
    const missing = /ImagePull|ErrImage/.test(reason);
    const title = missing ? 'Waiting for its module' : reason === 'CrashLoopBackOff' ? 'Waiting before it tries again' : `Waiting: ${inWords(reason) || reason}`;
    const text = missing ? `The module ${image} has not been pushed. It goes on by itself once it is there.` : `${plural(seen.waiting, 'pod')} waiting. ${done}.${left}`;
    return { state: 'waiting', title, text, detail: why, pod: seen.why, module: missing ? image : undefined };
  }
  if (active > 0) return { state: 'waiting', title: 'Starting', text: `${plural(active, 'pod')} about to run. ${done}.${left}` };
  if (failed > 0 || seen.failed > 0) return backOff(job, seen, now, done + left);
  return { state: 'waiting', title: 'Not started yet', text: 'Its pods are about to be created.' };
}

/**
 * @typedef {object} Seen
 * @property {number} running
 * @property {number} waiting
 * @property {number} failed
 * @property {PodRecord | undefined} why a pod that says why it waits
 * @property {PodRecord | undefined} lastFailed
 * @property {number} lastSuccess
 * @property {number[]} failures when they were
 */

/** What there is among the pods, in one pass. @param {Iterable<PodRecord>} pods @returns {Seen} */
function look(pods) {
  /** @type {Seen} */
  const seen = { running: 0, waiting: 0, failed: 0, why: undefined, lastFailed: undefined, lastSuccess: -Infinity, failures: [] };
  for (const pod of pods) {
    if (pod.state === 'running') seen.running++;
    else if (pod.state === 'waiting') {
      seen.waiting++;
      if (pod.reason && !seen.why) seen.why = pod;
    } else if (pod.state === 'failed') {
      seen.failed++;
      seen.failures.push(pod.finished);
      const at = (/** @type {PodRecord} */ p) => (Number.isFinite(p.finished) ? p.finished : p.created);
      if (!seen.lastFailed || at(pod) > at(seen.lastFailed)) seen.lastFailed = pod;
    } else if (pod.state === 'succeeded' && pod.finished > seen.lastSuccess) seen.lastSuccess = pod.finished;
  }
  return seen;
}

/** @param {any} job @param {number} now */
function deadline(job, now) {
  const seconds = job.spec?.activeDeadlineSeconds;
  const start = moment(job.metadata.annotations?.['kiln.dev/start-time'] ?? job.status?.startTime);
  if (!seconds || Number.isNaN(start)) return '';
  const left = start + seconds * 1000 - now;
  return left > 0 ? ` ${duration(Math.ceil(left / 1000) * 1000)} until its deadline.` : '';
}

/**
 * The delay before the next pod: Kubernetes' own, or the annotation's.
 * @param {string | undefined} annotation such as `base=1s,factor=2,cap=1m`
 * @param {number} failures in a row
 * @returns {number} milliseconds
 */
export function delay(annotation, failures) {
  let [base, factor, cap] = [10_000, 2, 600_000];
  for (const part of (annotation ?? '').split(',')) {
    const [name, value] = part.split('=').map((s) => s.trim());
    if (name === 'factor' && Number(value) >= 1) factor = Number(value);
    const ms = span(value);
    if (name === 'base' && !Number.isNaN(ms)) base = ms;
    if (name === 'cap' && !Number.isNaN(ms)) cap = ms;
  }
  return Math.min(cap, base * factor ** Math.max(0, failures - 1));
}

/** `1m30s` as milliseconds. @param {string | undefined} text */
function span(text) {
  if (text === '0') return 0;
  /** @type {Record<string, number>} */
  const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  const parts = [...(text ?? '').matchAll(/([\d.]+)(ms|s|m|h)/g)];
  return parts.length ? parts.reduce((sum, [, n, unit]) => sum + Number(n) * units[unit], 0) : NaN;
}

/** @param {any} job @param {Seen} seen @param {number} now @param {string} done @returns {Explanation} */
function backOff(job, seen, now, done) {
  const pod = seen.lastFailed;
  const inRow = seen.failures.filter((at) => at > seen.lastSuccess).length || 1;
  const due = (pod?.finished ?? NaN) + delay(job.metadata.annotations?.['kiln.dev/backoff'], inRow);
  const rest = due - now;
  const perIndex = job.spec?.backoffLimitPerIndex != null;
  const soon = !perIndex && rest > 0 ? `in about ${duration(Math.ceil(rest / 1000) * 1000)}` : 'soon';
  const limit = job.spec?.backoffLimit ?? 6;
  const allowed = perIndex ? '' : ` ${plural(job.status?.failed ?? seen.failed, 'failure')}, ${count(limit)} are forgiven.`;
  return {
    state: 'waiting', title: `Tries again ${soon}`, pod, detail: pod?.why,
    text: `${pod ? `The last pod failed: ${inWords(pod.reason) || pod.reason}${Number.isFinite(pod.exit) ? `, exit code ${pod.exit}` : ''}.` : 'Pods failed.'}${allowed} ${done}`,
  };
}

/**
 * What has happened to a Job, in order.
 * @param {any} job
 * @returns {{at: number, state: string, title: string, text: string, sure: boolean}[]} `sure` is false for what is yet to come
 */
export function timelineOf(job) {
  const { metadata, spec = {}, status = {} } = job;
  /** @type {{at: number, state: string, title: string, text: string, sure: boolean}[]} */
  const all = [];
  const add = (/** @type {number} */ at, /** @type {string} */ state, /** @type {string} */ title, text = '', sure = true) => {
    if (Number.isFinite(at)) all.push({ at, state, title, text, sure });
  };
  add(moment(metadata.creationTimestamp), 'none', 'Created');
  const attempts = attemptsOf(job);
  for (const { began, again, condition: how, reason, succeeded, failed } of attempts) {
    const good = how === 'Complete';
    add(began, 'begun', 'Started');
    const counts = `${count(succeeded)} succeeded, ${count(failed)} failed`;
    add(again, good ? 'succeeded' : 'failed', `Run again, after it had ${good ? 'succeeded' : 'failed'}`, good ? counts : `${inWords(reason) || reason}; ${counts}`);
  }
  const start = moment(metadata.annotations?.['kiln.dev/start-time'] ?? status.startTime);
  if (attempts.length === 0) add(start, 'begun', 'Started');
  /** @type {Record<string, [string, string, string]>} */
  const words = {
    Complete: ['succeeded', 'Succeeded', ''], Failed: ['failed', 'Failed', ''], Suspended: ['suspended', 'Suspended', 'Resumed'],
    FailureTarget: ['failed', 'Decided that it fails', ''], SuccessCriteriaMet: ['succeeded', 'Enough has succeeded', ''], Finished: ['none', 'Finished', ''],
  };
  for (const c of status.conditions ?? []) {
    const [state, yes, no] = words[c.type] ?? ['none', c.type, `not ${c.type}`];
    const title = c.status === 'True' ? yes : no;
    if (title) add(moment(c.lastTransitionTime), c.status === 'True' ? state : 'begun', title, [inWords(c.reason), c.message].filter(Boolean).join('. '));
  }
  const isOver = condition(job, 'Complete') || condition(job, 'Failed');
  if (!isOver && spec.activeDeadlineSeconds && !spec.suspend) add(start + spec.activeDeadlineSeconds * 1000, 'waiting', 'Deadline', `${duration(spec.activeDeadlineSeconds * 1000)} after the start`, false);
  const ttl = spec.ttlSecondsAfterFinished;
  if (isOver && ttl != null) add(moment(isOver.lastTransitionTime) + ttl * 1000, 'none', 'Will be deleted', 'ttlSecondsAfterFinished', false);
  return all.map((e, i) => ({ ...e, i })).sort((a, b) => a.at - b.at || a.i - b.i);
}

/**
 * How earlier attempts of a Job that ran again have ended; the last twenty are remembered.
 * @param {any} job
 * @returns {{condition: string, reason: string, began: number, again: number, succeeded: number, failed: number}[]}
 */
export function attemptsOf(job) {
  try {
    const list = JSON.parse(job.metadata.annotations?.['kiln.dev/attempts'] ?? '[]');
    return list.map((/** @type {any} */ a) => ({
      condition: String(a.condition), reason: String(a.reason), began: moment(a.startTime), again: moment(a.rerunTime), succeeded: Number(a.succeeded) || 0, failed: Number(a.failed) || 0,
    }));
  } catch {
    return [];
  }
}
