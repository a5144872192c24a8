// What several views want to know of the whole server: all Jobs, the namespaces. Each is watched while somebody wants it,
// and a little longer, so that going back and forth costs nothing.

import { get, pathOf } from './api.js';
import { recordOf } from './job.js';
import { Informer } from './watch.js';

/** @typedef {import('./job.js').JobRecord} JobRecord */

const LINGER = 30_000;

/**
 * @template R
 * @typedef {{acquire: (signal: AbortSignal) => Informer<R>}} Shared until the signal is aborted
 */

/**
 * @template R
 * @param {() => Informer<R>} make
 * @returns {Shared<R>}
 */
function shared(make) {
  /** @type {Informer<R> | null} */
  let informer = null;
  let users = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  return {
    acquire(signal) {
      clearTimeout(timer);
      users++;
      if (informer?.error) {
        informer.stop();
        informer = null;
      }
      informer ??= make();
      signal.addEventListener('abort', () => {
        if (--users > 0) return;
        timer = setTimeout(() => {
          informer?.stop();
          informer = null;
        }, LINGER);
      }, { once: true });
      return informer;
    },
  };
}

/** @typedef {{succeeded: number, failed: number}} Ended */

/** How many pods of Jobs have ended since the page was opened, by the second and the namespace. */
class Throughput {
  /** @type {Map<number, Map<string, Ended>>} */
  #seconds = new Map();

  /** @param {JobRecord | undefined} job @param {JobRecord | undefined} before */
  count(job, before) {
    if (!job || !before) return;
    const succeeded = Math.max(0, job.succeeded - before.succeeded);
    const failed = Math.max(0, job.failed - before.failed);
    if (succeeded + failed === 0) return;
    const second = Math.floor(Date.now() / 1000);
    const now = this.#seconds.get(second) ?? new Map();
    const own = now.get(job.namespace) ?? { succeeded: 0, failed: 0 };
    own.succeeded += succeeded;
    own.failed += failed;
    now.set(job.namespace, own);
    this.#seconds.set(second, now);
    if (this.#seconds.size > 600) this.#seconds.delete(/** @type {number} */ (this.#seconds.keys().next().value));
  }

  /** Of the seconds from one on, before another. @param {number} from @param {number} to @param {string} namespace empty: all @returns {Ended} */
  #sum(from, to, namespace) {
    const all = { succeeded: 0, failed: 0 };
    for (let second = from; second < to; second++) {
      for (const [of, ended] of this.#seconds.get(second) ?? []) {
        if (namespace && of !== namespace) continue;
        all.succeeded += ended.succeeded;
        all.failed += ended.failed;
      }
    }
    return all;
  }

  /**
   * For each of the last seconds, without the one that goes on.
   * @param {number} seconds
   * @param {string} namespace
   */
  rates(seconds, namespace) {
    const end = Math.floor(Date.now() / 1000);
    return Array.from({ length: seconds }, (_, i) => ({ at: (end - seconds + i) * 1000, ...this.#sum(end - seconds + i, end - seconds + i + 1, namespace) }));
  }

  /** Pods per second, over the last seconds. @param {number} seconds @param {string} namespace */
  rate(seconds, namespace) {
    const end = Math.floor(Date.now() / 1000);
    const { succeeded, failed } = this.#sum(end - seconds, end, namespace);
    return (succeeded + failed) / seconds;
  }
}

export const throughput = new Throughput();

/** All Jobs of all namespaces. */
export const jobs = shared(() => {
  return new Informer({
    path: pathOf('jobs'),
    reduce: (job, /** @type {JobRecord | undefined} */ before) => recordOf(job, before, Date.now()),
    seen: (job, before) => throughput.count(job, before),
  });
});

/** The names of all namespaces. @returns {Promise<string[]>} */
export async function namespaces() {
  const list = await get(pathOf('namespaces'));
  return list.items.map((/** @type {any} */ n) => n.metadata.name).sort();
}
