// A collection as it is now: a list in pages, then a watch from there, for as long as somebody wants it.
//
//   list ─all pages─▶ watch ──event──▶ watch
//   watch ──ends, fails──▶ wait (back-off) ──▶ watch from the last revision
//   watch ──410 (too far behind), 504──▶ wait (back-off) ──▶ list: what changes faster than it can be read is looked at
//         now and then, and is followed again when it is quiet
//   any ──tab hidden, connection dead──▶ rest ──shown, back──▶ watch from the last revision
//
// Objects are reduced to records as they come, so that ten thousand of them cost little. Parsing is cut into slices.

import { ApiError, get, pages } from './api.js';
import { connection } from './connection.js';
import { breathe, inSlices } from './dom.js';
import { lines } from './stream.js';

/** @typedef {import('./connection.js').State} State */

const FIRST_WAIT = 300;
const LONGEST_WAIT = 10_000;
/** A watch that says nothing for so long is asked for anew: the server sends a bookmark each minute. */
const SILENCE = 90_000;

/**
 * @template R
 * @typedef {object} Options
 * @property {string} path
 * @property {{labelSelector?: string, fieldSelector?: string}} [query]
 * @property {(object: any, before: R | undefined) => R} reduce keeps of an object what is needed
 * @property {(record: R | undefined, before: R | undefined) => void} [seen] told of each change; `undefined` is "gone"
 */

/**
 * Records by uid. Listeners are told at most once per frame.
 * @template R
 */
export class Informer {
  /** @type {Map<string, R>} */
  records = new Map();
  /** Grows with each change. */
  version = 0;
  /** Whether all that is there has been listed once. */
  isComplete = false;
  /** @type {State} */
  state = 'loading';
  /** Why it does not work and will not by waiting, e.g. 403. @type {ApiError | null} */
  error = null;
  /** How many are still to be listed, as far as the server has said. */
  left = 0;

  /** @type {Options<R>} */
  #options;
  /** @type {Set<() => void>} */
  #listeners = new Set();
  #stop = new AbortController();
  #rest = new AbortController();
  #revision = '';
  #told = true;

  /** @param {Options<R>} options */
  constructor(options) {
    this.#options = options;
    const rest = () => this.#rest.abort();
    const signal = this.#stop.signal;
    for (const event of ['pause', 'resume', 'dead', 'back']) connection.addEventListener(event, rest, { signal });
    connection.tell(this, 'loading');
    this.#run();
  }

  /** For good. */
  stop() {
    this.#stop.abort();
    this.#rest.abort();
    this.#listeners.clear();
    connection.forget(this);
  }

  /**
   * @param {() => void} listener told after changes, of records or of the state
   * @param {AbortSignal} [signal]
   */
  subscribe(listener, signal) {
    this.#listeners.add(listener);
    signal?.addEventListener('abort', () => this.#listeners.delete(listener));
  }

  /** @param {State} state */
  #become(state) {
    if (this.state === state || this.#stop.signal.aborted) return;
    this.state = state;
    connection.tell(this, state);
    this.#changed();
  }

  #changed() {
    this.version++;
    if (!this.#told) return;
    this.#told = false;
    // A hidden tab paints no frames; the last changes must reach it nevertheless.
    const tell = () => {
      if (this.#told) return;
      this.#told = true;
      for (const listener of this.#listeners) listener();
    };
    requestAnimationFrame(tell);
    setTimeout(tell, 250);
  }

  async #run() {
    const { path } = this.#options;
    let wait = FIRST_WAIT;
    let behind = FIRST_WAIT;
    while (!this.#stop.signal.aborted) {
      this.#rest = new AbortController();
      if (connection.isHidden) {
        this.#become('paused');
        await this.#pause(60_000);
        continue;
      }
      const signal = AbortSignal.any([this.#stop.signal, this.#rest.signal]);
      const begun = Date.now();
      try {
        if (!this.#revision) await this.#list(signal);
        await this.#watch(signal);
        // Ended by the server: it stops, or it has had enough.
        if (Date.now() - begun > 5_000) wait = behind = FIRST_WAIT;
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        if (error instanceof ApiError && (error.code === 410 || error.code === 504)) {
          this.#revision = '';
          this.#become('loading');
          await this.#pause(behind);
          behind = Math.min(behind * 2, LONGEST_WAIT);
          continue;
        } else if (error instanceof ApiError && !error.isTransient && error.code < 500) {
          this.error = error;
          connection.forget(this);
          this.#changed();
          return;
        } else if (!this.#rest.signal.aborted && !(error instanceof ApiError)) {
          console.error(path, error);
        }
      }
      if (this.#stop.signal.aborted) return;
      if (this.#rest.signal.aborted) {
        if (!connection.isHidden) this.#become('lost');
        wait = FIRST_WAIT;
        continue;
      }
      this.#become('lost');
      await this.#pause(wait * (0.75 + Math.random() / 2));
      wait = Math.min(wait * 2, LONGEST_WAIT);
    }
  }

  /** Until then, or until something has changed. @param {number} ms */
  #pause(ms) {
    const signal = AbortSignal.any([this.#stop.signal, this.#rest.signal]);
    return new Promise((/** @type {(value: void) => void} */ resolve) => {
      const timer = setTimeout(resolve, ms);
      signal.addEventListener('abort', () => (clearTimeout(timer), resolve()));
      if (signal.aborted) resolve();
    });
  }

  /** @param {AbortSignal} signal */
  async #list(signal) {
    const { path, query, reduce, seen } = this.#options;
    const found = new Set();
    let revision = '';
    for await (const page of pages(path, query, signal)) {
      await inSlices(page.items, (object) => {
        const uid = object.metadata.uid;
        found.add(uid);
        const before = this.records.get(uid);
        const record = reduce(object, before);
        this.records.set(uid, record);
        seen?.(record, before);
      });
      // The events after the first page's moment are those that the other pages do not have.
      revision ||= page.revision;
      this.left = page.left;
      this.#changed();
      await breathe();
    }
    for (const [uid, record] of this.records) {
      if (found.has(uid)) continue;
      this.records.delete(uid);
      seen?.(undefined, record);
    }
    this.#revision = revision;
    this.isComplete = true;
    this.#changed();
  }

  /** @param {AbortSignal} signal */
  async #watch(signal) {
    const { path, query } = this.#options;
    const asked = { ...query, watch: true, allowWatchBookmarks: true, resourceVersion: this.#revision };
    let until = 0;
    for await (const come of lines(path, asked, signal, SILENCE)) {
      this.#become('live');
      until = Math.max(until, performance.now() + 8);
      for (const line of come) {
        if (line) this.#take(JSON.parse(line));
        if (performance.now() > until) {
          await breathe();
          if (signal.aborted) return;
          until = performance.now() + 8;
        }
      }
    }
  }

  /** @param {{type: string, object: any}} event */
  #take({ type, object }) {
    if (type === 'ERROR') throw new ApiError(object.code ?? 500, object.reason ?? '', object.message ?? '');
    this.#revision = object.metadata.resourceVersion;
    if (type === 'BOOKMARK') return;
    const uid = object.metadata.uid;
    const before = this.records.get(uid);
    if (type === 'DELETED') {
      this.records.delete(uid);
      this.#options.seen?.(undefined, before);
    } else {
      const record = this.#options.reduce(object, before);
      this.records.set(uid, record);
      this.#options.seen?.(record, before);
    }
    this.#changed();
  }
}

/**
 * Asks for something again and again while the tab is seen, at once when it is shown again.
 * @param {string} path
 * @param {number} every milliseconds
 * @param {(answer: any) => void} take
 * @param {AbortSignal} signal
 * @param {(error: unknown) => void} [failed]
 */
export async function poll(path, every, take, signal, failed) {
  while (!signal.aborted) {
    if (!connection.isHidden) {
      try {
        const answer = await get(path, { signal });
        if (!signal.aborted) take(answer);
      } catch (error) {
        if (!signal.aborted) failed?.(error);
      }
    }
    await sleep(every, signal);
  }
}

/**
 * Until then, or until the tab is shown again or `signal` says so.
 * @param {number} ms
 * @param {AbortSignal} signal
 */
function sleep(ms, signal) {
  return new Promise((/** @type {(value: void) => void} */ resolve) => {
    const over = new AbortController();
    const done = () => (clearTimeout(timer), over.abort(), resolve());
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { signal: over.signal });
    connection.addEventListener('resume', done, { signal: over.signal });
    if (signal.aborted) done();
  });
}
