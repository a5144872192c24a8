// Sorting in slices gives what sorting gives, and is given up when nobody wants it any more.

import assert from 'node:assert/strict';
import test from 'node:test';

import { sortInSlices } from '../../web/lib/dom.js';

test('many are sorted as few are, and what is equal stays in order', async () => {
  for (const n of [0, 1, 5, 4096, 4097, 12_289, 50_000]) {
    const items = Array.from({ length: n }, (_, i) => ({ key: (i * 7919) % 101, i }));
    const sorted = await sortInSlices(
      items,
      (a, b) => a.key - b.key,
      () => true,
    );
    assert.deepEqual(
      sorted,
      [...items].sort((a, b) => a.key - b.key || a.i - b.i),
      String(n),
    );
  }
});

test('a sort that nobody waits for ends', async () => {
  const items = Array.from({ length: 20_000 }, (_, i) => -i);
  let asked = 0;
  assert.equal(
    await sortInSlices(
      items,
      (a, b) => a - b,
      () => ++asked < 3,
    ),
    null,
  );
  assert.equal(asked, 3);
});
