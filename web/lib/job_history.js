// How many Jobs ran, waited and ended over the last minutes, from the times that each Job carries. So the chart has a past
// from the first moment, and is right after a pause. Deleted Jobs are not in it. No DOM, no clock.

/** @typedef {import('./job.js').JobRecord} JobRecord */

/**
 * @param {Iterable<JobRecord>} jobs
 * @param {number} now
 * @param {number} span milliseconds
 * @param {number} steps
 * @returns {{at: number, running: number, waiting: number, succeeded: number, failed: number}[]} `running` and `waiting` at
 *   that moment, `succeeded` and `failed` since the one before
 */
export function jobHistory(jobs, now, span, steps) {
  const width = span / steps;
  // Moments are multiples of the step, so that points stay what they are while the time goes on.
  const end = Math.ceil(now / width) * width;
  const start = end - span;
  const points = Array.from({ length: steps + 1 }, (_, i) => ({ at: start + i * width, running: 0, waiting: 0, succeeded: 0, failed: 0 }));
  // What began and ended before each point, as differences that are summed up afterwards.
  const stepOf = (/** @type {number} */ at) => Math.max(0, Math.ceil((at - start) / width));
  for (const job of jobs) {
    const { created, started, finished, state } = job;
    if (finished < start || state === 'suspended') continue;
    const from = stepOf(Number.isNaN(started) ? now + width : started);
    const over = Number.isNaN(finished) ? steps + 1 : stepOf(finished);
    if (Number.isFinite(finished) && finished >= start && over <= steps) {
      if (state === 'failed') points[over].failed++;
      else if (state === 'succeeded') points[over].succeeded++;
    }
    const waits = stepOf(created);
    // A Job that has begun and runs nothing waits now. What it did before is known only if nothing of it has ended yet.
    const waitsFrom = state !== 'waiting' ? Infinity : job.succeeded + job.failed === 0 ? 0 : steps;
    for (let i = waits; i < Math.min(over, steps + 1); i++) {
      if (i < from || i >= waitsFrom) points[i].waiting++;
      else points[i].running++;
    }
  }
  return points;
}
