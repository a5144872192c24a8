// The dark theme stands in the style sheet twice, for those who chose it and for those whose system is dark: CSS cannot share it.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test from 'node:test';

test('both dark themes are one', async () => {
  const css = await readFile(new URL('../../web/style/tokens.css', import.meta.url), 'utf8');
  /** @param {string} selector */
  const rules = (selector) => {
    const block = css.split(`${selector} {`)[1]?.split('}')[0] ?? '';
    return block.split(';').map((rule) => rule.trim());
  };
  const chosen = rules(':root[data-theme="dark"]');
  assert.ok(chosen.length > 20, `${chosen.length}`);
  assert.deepEqual(rules(':root:not([data-theme="light"])'), chosen);
});
