// What a pod is doing, from its object alone: a small record per pod, and its state in words. No DOM, no clock.

import { inWords } from './job.js';
import { moment } from './time.js';

/** @typedef {'running' | 'waiting' | 'succeeded' | 'failed' | 'deleting'} PodState */

/** @type {Record<PodState, string>} */
export const POD_WORDS = { running: 'Running', waiting: 'Waiting', succeeded: 'Succeeded', failed: 'Failed', deleting: 'Stopping' };

/**
 * @typedef {object} PodRecord
 * @property {string} uid
 * @property {string} namespace
 * @property {string} name
 * @property {number} index of an Indexed Job, else -1
 * @property {PodState} state
 * @property {string} reason in one word, such as `OOMKilled`
 * @property {string} why it waits or failed, in the server's words; may be long
 * @property {number} exit code, NaN if there is none
 * @property {number} restarts
 * @property {number} created
 * @property {number} started NaN before
 * @property {number} finished NaN before
 * @property {number} wall milliseconds of all runs, NaN before the end
 * @property {number} cpu milliseconds
 * @property {number} fuel
 * @property {number} memory bytes at most
 */

/** @typedef {{fuel: number, memory: number, cpu: number, wall: number, finished: number}} Usage */

/**
 * What the annotation `kiln.dev/usage` says.
 * @param {any} object pod or Job
 * @returns {Usage | null}
 */
export function usageOf(object) {
  const text = object.metadata?.annotations?.['kiln.dev/usage'];
  if (!text) return null;
  try {
    const { fuel, peakMemoryBytes, cpuMicros, wallMicros, finished } = JSON.parse(text);
    const number = (/** @type {unknown} */ n) => (typeof n === 'number' ? n : NaN);
    return { fuel: number(fuel), memory: number(peakMemoryBytes), cpu: number(cpuMicros) / 1000, wall: number(wallMicros) / 1000, finished: moment(finished) };
  } catch {
    return null;
  }
}

/** All containers of a pod with their status, init containers first. @param {any} pod @returns {any[]} */
export function statuses(pod) {
  return [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
}

/** @param {any} pod @returns {PodState} */
export function podState(pod) {
  const phase = pod.status?.phase;
  if (phase === 'Succeeded') return 'succeeded';
  if (phase === 'Failed') return 'failed';
  if (pod.metadata.deletionTimestamp) return 'deleting';
  if (phase === 'Running') return statuses(pod).some((c) => c.state?.running) ? 'running' : 'waiting';
  return 'waiting';
}

/**
 * The one word and the sentence that explain the state best.
 * @param {any} pod
 * @returns {{reason: string, why: string, exit: number, container: string}}
 */
export function explain(pod) {
  const status = pod.status ?? {};
  const all = statuses(pod);
  const failed = all.find((c) => c.state?.terminated && c.state.terminated.exitCode !== 0);
  if (podState(pod) === 'failed' || (failed && status.phase !== 'Running')) {
    const end = failed?.state.terminated;
    const reason = [status.reason, end?.reason].find((r) => r && r !== 'Error') ?? end?.reason ?? 'Failed';
    return { reason, why: status.message || end?.message || '', exit: end?.exitCode ?? NaN, container: failed?.name ?? '' };
  }
  const waiting = all.find((c) => c.state?.waiting?.reason && !/^(ContainerCreating|PodInitializing)$/.test(c.state.waiting.reason));
  if (waiting) {
    const { reason, message = '' } = waiting.state.waiting;
    const last = waiting.lastState?.terminated;
    return { reason, why: message, exit: last?.exitCode ?? NaN, container: waiting.name };
  }
  const unscheduled = status.conditions?.find((/** @type {any} */ c) => c.type === 'PodScheduled' && c.status === 'False');
  if (unscheduled) return { reason: unscheduled.reason ?? '', why: unscheduled.message ?? '', exit: NaN, container: '' };
  const end = all.find((c) => c.state?.terminated)?.state.terminated;
  return { reason: '', why: '', exit: status.phase === 'Succeeded' ? end?.exitCode ?? 0 : NaN, container: '' };
}

/**
 * When its first container began, and when its last one ended.
 * @param {any} pod
 * @returns {{started: number, finished: number}}
 */
export function runOf(pod) {
  const usage = usageOf(pod);
  let started = Infinity;
  let finished = -Infinity;
  let open = false;
  for (const c of statuses(pod)) {
    for (const state of [c.lastState, c.state]) {
      const at = moment(state?.running?.startedAt ?? state?.terminated?.startedAt);
      if (at < started) started = at;
      const end = moment(state?.terminated?.finishedAt);
      if (end > finished) finished = end;
    }
    if (!c.state?.terminated) open = true;
  }
  // The statuses have whole seconds, the annotation has micros.
  if (usage && Number.isFinite(usage.finished)) {
    finished = usage.finished;
    if (statuses(pod).length === 1 && !statuses(pod)[0].restartCount && Number.isFinite(usage.wall)) started = finished - usage.wall;
  }
  const isOver = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
  return {
    started: Number.isFinite(started) ? started : NaN,
    finished: isOver && !(open && finished === -Infinity) && Number.isFinite(finished) ? finished : NaN,
  };
}

/** @param {any} pod */
export function indexOf(pod) {
  const { annotations, labels } = pod.metadata;
  const text = annotations?.['batch.kubernetes.io/job-completion-index'] ?? labels?.['batch.kubernetes.io/job-completion-index'];
  return text === undefined ? -1 : Number(text);
}

/** @param {any} pod @returns {PodRecord} */
export function podRecord(pod) {
  const { metadata } = pod;
  const usage = usageOf(pod);
  const { reason, why, exit } = explain(pod);
  const { started, finished } = runOf(pod);
  let restarts = 0;
  for (const c of statuses(pod)) restarts += c.restartCount ?? 0;
  return {
    uid: metadata.uid, namespace: metadata.namespace, name: metadata.name, index: indexOf(pod), state: podState(pod),
    reason, why: why.length > 300 ? `${why.slice(0, 300)}…` : why, exit, restarts,
    created: moment(metadata.creationTimestamp), started, finished,
    wall: usage?.wall ?? NaN, cpu: usage?.cpu ?? NaN, fuel: usage?.fuel ?? NaN, memory: usage?.memory ?? NaN,
  };
}

/**
 * What a list says about a pod in one line.
 * @param {PodRecord} pod
 */
export function podSummary(pod) {
  const words = pod.reason ? inWords(pod.reason) || pod.reason : '';
  if (pod.state === 'failed') return `${words || 'Failed'}${Number.isFinite(pod.exit) ? ` (exit code ${pod.exit})` : ''}`;
  return words;
}

/**
 * A message as what a program left and what the node added: the trap and the backtrace.
 * @param {string} message
 * @returns {{text: string, backtrace: string[]}}
 */
export function splitBacktrace(message) {
  const at = message.search(/^.*wasm backtrace:\s*$/m);
  if (at < 0) return { text: message.trim(), backtrace: [] };
  const [, ...frames] = message.slice(at).split('\n');
  const isFrame = (/** @type {string} */ line) => /^\s*\d+:|^\s+(at|-|0x)|^\s*$/.test(line);
  let end = frames.findIndex((line) => !isFrame(line));
  if (end < 0) end = frames.length;
  const rest = frames.slice(end).join('\n').trim();
  const text = message.slice(0, at).trim();
  return { text: rest ? `${text}\n${rest}` : text, backtrace: frames.slice(0, end).map((f) => f.trim()).filter(Boolean) };
}
