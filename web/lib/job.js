// What a Job is doing, from its object alone: a small record per Job, and its state in words. No DOM, no clock.

import { count, plural } from './format.js';
import { duration, moment } from './time.js';

/** @typedef {'running' | 'waiting' | 'suspended' | 'succeeded' | 'failed' | 'deleting'} JobState */

/** In the order of urgency, which is also that of sorting. @type {JobState[]} */
export const JOB_STATES = ['failed', 'running', 'waiting', 'suspended', 'deleting', 'succeeded'];

/**
 * @typedef {object} JobRecord
 * @property {string} uid
 * @property {string} namespace
 * @property {string} name
 * @property {Record<string, string>} labels
 * @property {JobState} state
 * @property {string} reason of a failure, such as `BackoffLimitExceeded`
 * @property {string} message the server's own words about it
 * @property {number} created
 * @property {number} started NaN before
 * @property {number} finished NaN before
 * @property {number | null} completions wanted; null: any that succeeds is enough
 * @property {number} parallelism
 * @property {number} succeeded
 * @property {number} failed
 * @property {number} active
 * @property {number} ready
 * @property {boolean} indexed
 * @property {string} cron the CronJob that made it, or empty
 * @property {string} image of the first container
 * @property {Sample[]} samples pods that had ended at moments at which somebody looked
 * @property {string} haystack for the filter, in lower case
 */

/** @typedef {{at: number, ended: number}} Sample */

/** @param {any} job @param {string} type */
export const condition = (job, type) => job.status?.conditions?.find((/** @type {any} */ c) => c.type === type && c.status === 'True');

/**
 * @param {any} job
 * @returns {JobState}
 */
export function stateOf(job) {
  if (condition(job, 'Complete')) return 'succeeded';
  if (condition(job, 'Failed')) return 'failed';
  if (job.metadata.deletionTimestamp) return 'deleting';
  if (job.spec?.suspend) return 'suspended';
  const { active = 0, ready = 0, succeeded = 0 } = job.status ?? {};
  // Short pods are seldom seen ready: one that moves on is running.
  return ready > 0 || (active > 0 && succeeded > 0) ? 'running' : 'waiting';
}

/**
 * @param {any} job
 * @param {JobRecord} [before]
 * @param {number} [now] when it was seen, for the samples
 * @returns {JobRecord}
 */
export function recordOf(job, before, now) {
  const { metadata, spec = {}, status = {} } = job;
  const end = condition(job, 'Complete') ?? condition(job, 'Failed');
  const target = end ?? condition(job, 'FailureTarget');
  const owner = metadata.ownerReferences?.find((/** @type {any} */ o) => o.controller && o.kind === 'CronJob');
  const labels = metadata.labels ?? {};
  const ended = (status.succeeded ?? 0) + (status.failed ?? 0);
  return {
    uid: metadata.uid,
    namespace: metadata.namespace,
    name: metadata.name,
    labels,
    state: stateOf(job),
    reason: target?.type === 'Complete' ? '' : target?.reason ?? '',
    message: target?.type === 'Complete' ? '' : target?.message ?? '',
    created: moment(metadata.creationTimestamp),
    started: moment(status.startTime),
    finished: moment(status.completionTime ?? end?.lastTransitionTime),
    completions: spec.completions ?? null,
    parallelism: spec.parallelism ?? 1,
    succeeded: status.succeeded ?? 0,
    failed: status.failed ?? 0,
    active: status.active ?? 0,
    ready: status.ready ?? 0,
    indexed: spec.completionMode === 'Indexed',
    cron: owner?.name ?? '',
    image: spec.template?.spec?.containers?.[0]?.image ?? '',
    samples: sample(before?.samples ?? [], ended, now),
    haystack: `${metadata.namespace}/${metadata.name}`.toLowerCase(),
  };
}

const MOST_SAMPLES = 32;
const APART = 500;

/**
 * @param {Sample[]} samples
 * @param {number} ended
 * @param {number | undefined} now
 */
function sample(samples, ended, now) {
  if (now === undefined) return samples;
  const last = samples[samples.length - 1];
  if (last && now - last.at < APART) {
    last.ended = ended;
    return samples;
  }
  const next = samples.length < MOST_SAMPLES ? samples : samples.filter((_, i) => i % 2 === 0);
  return [...next, { at: now, ended }];
}

/** Milliseconds that it has taken; NaN before it began. @param {JobRecord} job @param {number} now */
export const durationOf = (job, now) => (Number.isFinite(job.finished) ? job.finished : now) - job.started;

/** The same in words: the API has whole seconds, so short ones are not told apart. @param {JobRecord} job @param {number} now */
export function durationInWords(job, now) {
  const ms = durationOf(job, now);
  return ms >= 1000 || Number.isNaN(ms) ? duration(Math.floor(ms / 1000) * 1000) : '<1 s';
}

/** The share that is done, from 0 to 1. @param {JobRecord} job */
export function progressOf(job) {
  if (job.state === 'succeeded') return 1;
  const wanted = job.completions ?? job.parallelism;
  return wanted > 0 ? Math.min(1, job.succeeded / wanted) : 0;
}

/** `3 / 5` @param {JobRecord} job */
export const completionsOf = (job) => `${count(job.succeeded)} / ${job.completions === null ? '1+' : count(job.completions)}`;

/** One word, as a badge shows it. @type {Record<JobState, string>} */
export const JOB_WORDS = {
  running: 'Running', waiting: 'Waiting', suspended: 'Suspended', succeeded: 'Succeeded', failed: 'Failed', deleting: 'Deleting',
};

/** The reasons of Kubernetes and of kiln in words. @type {Record<string, string>} */
const REASONS = {
  BackoffLimitExceeded: 'Too many of its pods failed',
  DeadlineExceeded: 'It took longer than its deadline allows',
  PodFailurePolicy: 'A pod failed in a way that its failure policy does not forgive',
  FailedIndexes: 'Some of its indexes failed',
  MaxFailedIndexesExceeded: 'More indexes failed than it allows',
  FateUnknown: 'A pod ran when kiln stopped, and must not run twice',
  OOMKilled: 'Out of memory',
  FuelExhausted: 'Out of fuel',
  NodeRestarted: 'Interrupted when kiln stopped',
  Evicted: 'It wrote more than it may',
  StartError: 'It could not be started',
  ImagePullBackOff: 'Its module is not there',
  ErrImagePull: 'Its module is not there',
  InvalidImageName: 'The name of its module is not valid',
  CreateContainerConfigError: 'Something that its environment needs is missing',
  FailedMount: 'A volume cannot be set up',
  Unschedulable: 'There is no room on the node',
  Error: 'It ended with an error',
};

/** @param {string} reason @returns {string} empty for one that is not known */
export const inWords = (reason) => REASONS[reason] ?? '';

/**
 * What a list says about a Job in one line.
 * @param {JobRecord} job
 */
export function summaryOf(job) {
  switch (job.state) {
    case 'failed': return inWords(job.reason) || job.message || job.reason;
    case 'running': return plural(job.active, 'pod') + (job.failed ? `, ${count(job.failed)} failed` : '');
    case 'waiting':
      if (job.active > 0) return `${plural(job.active, 'pod')} not running yet`;
      return job.failed > 0 ? `${plural(job.failed, 'failure')}, tries again` : 'Not started yet';
    case 'suspended': return 'Paused until it is resumed';
    case 'deleting': return 'Being deleted';
    default: return job.failed ? `${plural(job.failed, 'pod')} failed on the way` : '';
  }
}
