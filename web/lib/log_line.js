// A line of a log as an element: its number, its time, and what was written, in its colours and with what was found in it.

import { parse } from './ansi.js';
import { contrast, ground, readable } from './colour.js';
import { h, set } from './dom.js';
import { withHits } from './log_lines.js';

/**
 * @param {import('./log_lines.js').Line} line
 * @param {{ number: number, times: boolean, wanted: string, current: boolean, under: string }} how `wanted`: what is
 *   searched for, in lower case; `current`: this is the place that was gone to; `under`: the colour of the page beneath
 */
export function lineElement({ at, text, look }, { number, times, wanted, current, under }) {
  const pieces = withHits(parse(text, look).pieces, wanted);
  const dressed = pieces.map((piece) => {
    if (!piece.look && !piece.hit) return piece.text;
    const element = h(piece.hit ? 'mark' : 'span', { class: piece.hit && current ? 'current' : null }, piece.text);
    if (piece.look) dress(element, piece.look, under);
    return element;
  });
  return h(
    'div',
    { class: 'log-line' },
    h('span', { class: 'no', 'aria-hidden': 'true' }, number),
    times && h('span', { class: 'at', title: at }, at.slice(11, 23).padEnd(12)),
    h('span', { class: 'what' }, dressed),
  );
}

/**
 * @param {HTMLElement} element
 * @param {import('./ansi.js').Look} look
 * @param {string} under the colour of the page beneath, `#rrggbb`
 */
function dress(element, look, under) {
  const names = ['bold', 'dim', 'italic', 'underline', 'strike'].filter((name) => look[/** @type {'bold'} */ (name)]);
  if (names.length) set(element, { class: `${element.className} ${names.join(' ')}` });
  const [fg, bg] = look.inverse ? [look.bg, look.fg] : [look.fg, look.bg];
  const on = bg !== undefined ? ground(bg) : look.inverse ? (brightGround(under) ? '#171a21' : '#e6e9ef') : '';
  if (on) {
    element.style.backgroundColor = on;
    element.style.color = readable(fg === undefined ? under : ground(fg), on);
  } else if (fg !== undefined) element.style.color = fg.startsWith('#') ? readable(fg, under) : `var(--a${fg})`;
}

/** @param {string} hex */
const brightGround = (hex) => contrast(hex, '#000000') > contrast(hex, '#ffffff');
