// Which cell of a Job's map is what: a cell per index of an Indexed Job, else a cell per pod. Kept up to date pod by pod,
// so that a change costs one cell. No DOM.

import { intervals } from '../lib/format.js';
import { CELL, CELL_WORDS } from '../lib/grid.js';
import { podSummary } from '../lib/pod.js';
import { duration } from '../lib/time.js';

/** @typedef {import('../lib/pod.js').PodRecord} PodRecord */

/** A map of more cells than this would be of no use to anybody. */
const MOST = 1_000_000;

export class PodMap {
  /** @type {any} */
  #job;
  #indexed = false;
  #size = 0;
  /** What the Job says of each index: it knows also of those whose pods are gone. */
  #told = new Uint8Array(0);
  #completed = '';
  #failed = '';
  /** The newest pod of each index. @type {Map<number, PodRecord>} */
  #ofIndex = new Map();
  /** Pods in the order in which they were first seen, without indexes. @type {(PodRecord | undefined)[]} */
  #list = [];
  /** @type {Map<string, number>} */
  #place = new Map();
  /** Pods that are counted and gone: shown before the others. */
  #gone = { succeeded: 0, failed: 0 };

  /** @param {any} job */
  constructor(job) {
    this.setJob(job);
  }

  get isIndexed() {
    return this.#indexed;
  }

  /** @param {any} job */
  setJob(job) {
    if (this.#job === job) return;
    this.#job = job;
    const { spec = {}, status = {} } = job;
    this.#indexed = spec.completionMode === 'Indexed';
    if (this.#indexed) {
      const size = Math.min(spec.completions ?? 0, MOST);
      const { completedIndexes = '', failedIndexes = '' } = status;
      if (size !== this.#told.length || completedIndexes !== this.#completed || failedIndexes !== this.#failed) {
        [this.#completed, this.#failed] = [completedIndexes, failedIndexes];
        this.#told = new Uint8Array(size);
        for (const [from, to] of intervals(completedIndexes)) this.#told.fill(CELL.succeeded, from, to + 1);
        for (const [from, to] of intervals(failedIndexes)) this.#told.fill(CELL.failed, from, to + 1);
      }
    }
    this.#measure();
  }

  /** @param {PodRecord | undefined} pod @param {PodRecord | undefined} before */
  take(pod, before) {
    const known = pod ?? before;
    if (!known) return;
    if (known.index >= 0) {
      const newest = this.#ofIndex.get(known.index);
      if (!pod) {
        if (newest?.uid === known.uid) this.#ofIndex.delete(known.index);
      } else if (!newest || newest.uid === pod.uid || rank(pod) >= rank(newest)) this.#ofIndex.set(pod.index, pod);
    } else {
      const place = this.#place.get(known.uid);
      if (place !== undefined) this.#list[place] = pod ?? (before && { ...before, uid: '' });
      else if (pod) {
        this.#place.set(pod.uid, this.#list.length);
        this.#list.push(pod);
      }
    }
    this.#measure();
  }

  #measure() {
    const { spec = {}, status = {} } = this.#job;
    if (this.#indexed) {
      this.#size = this.#told.length;
      return;
    }
    const here = this.#list.length;
    const counted = (status.succeeded ?? 0) + (status.failed ?? 0) + (status.active ?? 0);
    const gone = Math.max(0, Math.min(counted - here, MOST));
    this.#gone = { succeeded: Math.min(gone, status.succeeded ?? 0), failed: 0 };
    this.#gone.failed = gone - this.#gone.succeeded;
    const isOver = status.conditions?.some((/** @type {any} */ c) => (c.type === 'Complete' || c.type === 'Failed') && c.status === 'True');
    const ahead = isOver || spec.completions == null ? 0 : Math.max(0, spec.completions - (status.succeeded ?? 0) - (status.active ?? 0));
    this.#size = Math.min(gone + here + ahead, MOST);
  }

  get size() {
    return this.#size;
  }

  /** @param {number} i @returns {PodRecord | undefined} */
  pod(i) {
    if (this.#indexed) return this.#ofIndex.get(i);
    const pod = this.#list[i - this.#gone.succeeded - this.#gone.failed];
    return pod?.uid ? pod : undefined;
  }

  /** @param {number} i @returns {number} */
  state(i) {
    if (this.#indexed) {
      const told = this.#told[i];
      if (told) return told;
      const pod = this.#ofIndex.get(i);
      if (!pod) return CELL.none;
      // It failed, and its index will be tried again.
      return pod.state === 'failed' && !this.#isOver() ? CELL.failed : CELL[pod.state];
    }
    const at = i - this.#gone.succeeded - this.#gone.failed;
    if (at < 0) return i < this.#gone.succeeded ? CELL.succeeded : CELL.failed;
    const pod = this.#list[at];
    return pod ? CELL[pod.state] : CELL.none;
  }

  #isOver() {
    return Boolean(this.#job.status?.completionTime);
  }

  /** @param {number} i */
  describe(i) {
    const state = CELL_WORDS[this.state(i)];
    const pod = this.pod(i);
    const what = this.#indexed ? `Index ${i}` : pod ? pod.name : `Pod ${i + 1}`;
    if (!pod) return `${what}: ${state}${this.state(i) === CELL.none ? '' : ', its pod is not kept any more'}`;
    const more = podSummary(pod);
    const took = Number.isFinite(pod.finished) ? `, ${duration(pod.finished - pod.started)}` : '';
    return `${what}: ${state}${took}${more && pod.state !== 'succeeded' ? `, ${more}` : ''}`;
  }

  /** How many cells are in which state. */
  tally() {
    const counts = new Array(CELL_WORDS.length).fill(0);
    for (let i = 0; i < this.#size; i++) counts[this.state(i)]++;
    return counts;
  }
}

/** A pod that runs is more telling than one that is over, and a later one than an earlier. @param {PodRecord} pod */
const rank = (pod) => (pod.state === 'running' || pod.state === 'waiting' ? 1e15 : 0) + pod.created;
