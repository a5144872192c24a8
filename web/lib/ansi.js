// What a program wrote for a terminal, as pieces of text with a look. Colours and weights are kept; everything else that
// a terminal would obey (moving the cursor, titles, links, bells) is left out. No DOM.

/**
 * @typedef {{text: string, look: Look | null}} Piece
 * @typedef {{fg?: string, bg?: string, bold?: boolean, dim?: boolean, italic?: boolean, underline?: boolean, strike?: boolean, inverse?: boolean}} Look
 *   `fg` and `bg`: `0` to `15` for the colours of the theme, else `#rrggbb`.
 */

// CSI … final, OSC/DCS/SOS/PM/APC … terminator (or the end of the line), two-byte escapes, and what stands alone.
const ESCAPE = /\x1b(?:\[([0-?]*)[ -/]*([@-~])|[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|$)|[ -/]*[0-~]?)|\x9b([0-?]*)[ -/]*([@-~])/g;

/** @type {Look | null} */
const PLAIN = null;

// Controls, and characters that turn the direction of all that follows, so that it reads as something else.
const UNUSUAL = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;

/**
 * One line, which begins with the look that the line before ended with.
 * @param {string} line without its newline
 * @param {Look | null} [look]
 * @returns {{pieces: Piece[], look: Look | null}}
 */
export function parse(line, look = PLAIN) {
  // A carriage return goes back to the start: what was written last is what a terminal shows.
  if (line.endsWith('\r')) line = line.slice(0, -1);
  /** @type {Piece[]} */
  let pieces = [];
  const add = (/** @type {string} */ text) => {
    const cut = text.lastIndexOf('\r');
    if (cut >= 0) {
      pieces = [];
      text = text.slice(cut + 1);
    }
    text = visible(text);
    if (!text) return;
    const last = pieces[pieces.length - 1];
    if (last && last.look === look) last.text += text;
    else pieces.push({ text, look });
  };
  if (!UNUSUAL.test(line)) return { pieces: line ? [{ text: line, look }] : [], look };
  let at = 0;
  for (const match of line.matchAll(ESCAPE)) {
    add(line.slice(at, match.index));
    at = match.index + match[0].length;
    const [, codes, end, codes8, end8] = match;
    if ((end ?? end8) === 'm') look = sgr(codes ?? codes8 ?? '', look);
  }
  add(line.slice(at));
  return { pieces, look };
}

/** The text alone. @param {string} line */
export const plain = (line) => parse(line).pieces.map((piece) => piece.text).join('');

/** Controls as their pictures (U+2400), others by their number, so that a reader sees that they are there. @param {string} text */
function visible(text) {
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f]/g, (c) => (c === '\x7f' ? '\u2421' : String.fromCharCode(0x2400 + c.charCodeAt(0))))
    .replace(/[\x80-\x9f]/g, '\ufffd')
    .replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, (c) => `<U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}>`);
}

/**
 * @param {string} codes
 * @param {Look | null} look
 * @returns {Look | null}
 */
function sgr(codes, look) {
  /** @type {Look} */
  let now = { ...look };
  const list = codes.split(/[;:]/).map((code) => Number(code || 0));
  for (let i = 0; i < list.length; i++) {
    const code = list[i];
    if (code === 0) now = {};
    else if (code === 1) now.bold = true;
    else if (code === 2) now.dim = true;
    else if (code === 3) now.italic = true;
    else if (code === 4) now.underline = true;
    else if (code === 7) now.inverse = true;
    else if (code === 9) now.strike = true;
    else if (code === 22) delete now.bold, delete now.dim;
    else if (code === 23) delete now.italic;
    else if (code === 24) delete now.underline;
    else if (code === 27) delete now.inverse;
    else if (code === 29) delete now.strike;
    else if (code >= 30 && code <= 37) now.fg = String(code - 30);
    else if (code >= 40 && code <= 47) now.bg = String(code - 40);
    else if (code >= 90 && code <= 97) now.fg = String(code - 90 + 8);
    else if (code >= 100 && code <= 107) now.bg = String(code - 100 + 8);
    else if (code === 39) delete now.fg;
    else if (code === 49) delete now.bg;
    else if (code === 38 || code === 48) {
      const [colour, used] = extended(list, i + 1);
      i += used;
      if (colour) now[code === 38 ? 'fg' : 'bg'] = colour;
    }
  }
  return Object.keys(now).length ? now : PLAIN;
}

/**
 * `5;N` or `2;R;G;B`, and how many numbers that were.
 * @param {number[]} list
 * @param {number} at
 * @returns {[string | null, number]}
 */
function extended(list, at) {
  const hex = (/** @type {number[]} */ rgb) => `#${rgb.map((n) => n.toString(16).padStart(2, '0')).join('')}`;
  const isByte = (/** @type {number} */ n) => n >= 0 && n <= 255;
  if (list[at] === 2) {
    const rgb = list.slice(at + 1, at + 4);
    return [rgb.length === 3 && rgb.every(isByte) ? hex(rgb) : null, 4];
  }
  const n = list[at + 1];
  if (list[at] !== 5 || n === undefined || !isByte(n)) return [null, list[at] === 5 ? 2 : 1];
  if (n < 16) return [String(n), 2];
  if (n >= 232) return [hex(Array(3).fill(8 + (n - 232) * 10)), 2];
  const levels = [0, 95, 135, 175, 215, 255];
  const cube = n - 16;
  return [hex([levels[Math.floor(cube / 36)], levels[Math.floor(cube / 6) % 6], levels[cube % 6]]), 2];
}
