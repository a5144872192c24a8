// Waiting for what should soon be so, without sleeping for a guessed time.

/** How long anything that should happen soon may take on a busy machine, in milliseconds. */
export const SOON = 30_000;

/**
 * Asks until the answer is neither false nor missing; says what it saw last when that does not happen.
 *
 * @template T
 * @param {string} what
 * @param {() => T | Promise<T>} ask
 * @param {{ within?: number, seen?: () => unknown }} [options] `seen` tells what to show if it does not come true
 * @returns {Promise<NonNullable<T>>}
 */
export async function until(what, ask, { within = SOON, seen } = {}) {
  const end = Date.now() + within;
  for (;;) {
    const answer = await ask();
    if (answer !== false && answer !== null && answer !== undefined) {
      return /** @type {NonNullable<T>} */ (answer);
    }
    if (Date.now() > end) {
      const last = seen ? await seen() : answer;
      throw new Error(`${what}: not within ${within} ms; last seen: ${JSON.stringify(last, null, 1)}`);
    }
    await new Promise((resume) => setTimeout(resume, 20));
  }
}
