// The page names beforehand what its first module imports, so that a browser that is far away need not find out step by step.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

const root = new URL('../../web/', import.meta.url);

/** @param {URL} file @param {Set<string>} found */
function follow(file, found) {
  for (const [, name] of readFileSync(file, 'utf8').matchAll(/^import [^;]*?'([^']+)';/gms)) {
    const next = new URL(name, file);
    if (found.has(next.href)) continue;
    found.add(next.href);
    follow(next, found);
  }
}

test('the page fetches all that it begins with at once', () => {
  /** @type {Set<string>} */
  const needed = new Set();
  follow(new URL('app.js', root), needed);
  const page = readFileSync(new URL('index.html', root), 'utf8');
  const named = [...page.matchAll(/rel="modulepreload" href="web\/([^"]+)"/g)].map(
    ([, name]) => new URL(name, root).href,
  );
  assert.deepEqual(named.sort(), [...needed].sort());
});
