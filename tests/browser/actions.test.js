// What is done with many Jobs: a few at a time, to the end, with what failed.

import assert from 'node:assert/strict';
import test from 'node:test';

// The modules ask the page where they are.
Object.assign(globalThis, { document: { baseURI: 'http://127.0.0.1/', addEventListener() {} } });
const { each, ACTIONS } = await import('../../web/lib/actions.js');
const { ApiError } = await import('../../web/lib/api.js');

const numbers = Array.from({ length: 50 }, (_, i) => i);

test('a few at a time, and what fails does not stop the rest', async () => {
  let [now, most] = [0, 0];
  /** @type {number[]} */
  const told = [];
  const { done, failures } = await each(
    numbers,
    async (n) => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setImmediate(resolve));
      now--;
      if (n % 10 === 3) throw new Error(`not ${n}`);
    },
    (n) => told.push(n),
    new AbortController().signal,
  );
  assert.ok(most > 1 && most <= 4, String(most));
  assert.equal(done, 50);
  assert.deepEqual(
    failures.map(({ item, error }) => [item, String(error)]),
    [3, 13, 23, 33, 43].map((n) => [n, `Error: not ${n}`]),
  );
  assert.deepEqual(
    told,
    numbers.map((n) => n + 1),
  );
});

test('nothing is begun after it was stopped', async () => {
  const stop = new AbortController();
  const { done } = await each(
    numbers,
    async (n) => n === 7 && stop.abort(),
    () => {},
    stop.signal,
  );
  assert.ok(done < 12, String(done));
});

test('a server that has too much to do is asked again', async () => {
  let asked = 0;
  const busy = async () => {
    if (++asked < 2) throw new ApiError(429, 'TooManyRequests', 'later');
  };
  const { failures } = await each([1], busy, () => {}, new AbortController().signal);
  assert.deepEqual([asked, failures], [2, []]);
});

test('each action fits the Jobs that it makes sense for', () => {
  const states = /** @type {const} */ (['running', 'waiting', 'suspended', 'succeeded', 'failed', 'deleting']);
  for (const [name, fitting] of /** @type {[keyof typeof ACTIONS, string[]][]} */ ([
    ['rerunFailed', ['failed']],
    ['rerunAll', ['succeeded', 'failed']],
    ['suspend', ['running', 'waiting']],
    ['resume', ['suspended']],
    ['delete', ['running', 'waiting', 'suspended', 'succeeded', 'failed']],
  ])) {
    assert.deepEqual(
      states.filter((state) => ACTIONS[name].fits(/** @type {any} */ ({ state }))),
      fitting,
      name,
    );
  }
});
