// Not here yet.

import { fill } from '../lib/dom.js';
import { empty } from '../lib/ui.js';

/** @param {import('./index.js').Context} context */
export function show({ root, title }) {
  title('overview');
  fill(root, empty('Not here yet'));
}
