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

/** How many pods of Jobs have ended since the page was opened, by the second. */
class Throughput {
  /** @type {Map<number, {succeeded: number, failed: number}>} */
  #seconds = new Map();
  /** When counting began. */
  since = NaN;

  /** @param {JobRecord | undefined} job @param {JobRecord | undefined} before */
  count(job, before) {
    if (!job || !before) return;
    const succeeded = Math.max(0, job.succeeded - before.succeeded);
    const failed = Math.max(0, job.failed - before.failed);
    if (succeeded + failed === 0) return;
    const second = Math.floor(Date.now() / 1000);
    const now = this.#seconds.get(second) ?? { succeeded: 0, failed: 0 };
    now.succeeded += succeeded;
    now.failed += failed;
    this.#seconds.set(second, now);
    if (this.#seconds.size > 1200) this.#seconds.delete(/** @type {number} */ (this.#seconds.keys().next().value));
  }

  /**
   * Per second, in steps that end with the second before this one.
   * @param {number} steps
   * @param {number} seconds of each
   */
  rates(steps, seconds) {
    const end = Math.floor(Date.now() / 1000 / seconds) * seconds;
    return Array.from({ length: steps }, (_, i) => {
      const from = end - (steps - i) * seconds;
      let [succeeded, failed] = [0, 0];
      for (let s = from; s < from + seconds; s++) {
        succeeded += this.#seconds.get(s)?.succeeded ?? 0;
        failed += this.#seconds.get(s)?.failed ?? 0;
      }
      return { at: from * 1000, succeeded: succeeded / seconds, failed: failed / seconds };
    });
  }

  /** Pods per second, over the last seconds. @param {number} seconds */
  rate(seconds) {
    const [{ succeeded, failed }] = this.rates(1, 1).length ? this.#last(seconds) : [{ succeeded: 0, failed: 0 }];
    return succeeded + failed;
  }

  /** @param {number} seconds */
  #last(seconds) {
    const end = Math.floor(Date.now() / 1000);
    let [succeeded, failed] = [0, 0];
    for (let s = end - seconds; s < end; s++) {
      succeeded += this.#seconds.get(s)?.succeeded ?? 0;
      failed += this.#seconds.get(s)?.failed ?? 0;
    }
    return [{ succeeded: succeeded / seconds, failed: failed / seconds }];
  }
}

export const throughput = new Throughput();

/** All Jobs of all namespaces. */
export const jobs = shared(() => {
  throughput.since = Date.now();
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
