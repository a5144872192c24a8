// The lines of a log, as they come in pieces: bounded, with their times, and how many rows each takes when it is wrapped.
// No DOM.

import { parse } from './ansi.js';

/** @typedef {import('./ansi.js').Look} Look */
/** @typedef {{at: string, text: string, look: Look | null}} Line `look`: that of its beginning */

/** Lines and characters that are kept at most; the oldest go first. */
const MOST_LINES = 200_000;
const MOST_CHARS = 64 << 20;
/** A line that is longer is cut into several, so that none is a task of its own. */
export const LONGEST = 4_000;

export class LogLines {
  /** @type {Line[]} */
  lines = [];
  /** How many have been dropped at the beginning. */
  dropped = 0;
  /** Grows when lines are added or dropped. */
  version = 0;
  #chars = 0;
  #rest = '';
  /** @type {Look | null} */
  #look = null;

  /**
   * Takes in text whose lines begin with their time, as the server sends it with `timestamps`.
   * @param {string} text
   */
  add(text) {
    const parts = (this.#rest + text).split('\n');
    this.#rest = parts.pop() ?? '';
    // A line that does not end is not waited for.
    if (this.#rest.length > LONGEST * 16) parts.push(this.#rest), this.#rest = '';
    for (const part of parts) this.#line(part);
    if (parts.length) this.version++;
  }

  /** The log has ended: what is left is a line, too. */
  end() {
    if (this.#rest) this.#line(this.#rest);
    this.#rest = '';
    this.version++;
  }

  /** @param {string} raw */
  #line(raw) {
    const cut = raw.indexOf(' ');
    const isTime = cut >= 20 && cut <= 36 && /^\d{4}-\d\d-\d\dT/.test(raw);
    const at = isTime ? raw.slice(0, cut) : '';
    let text = isTime ? raw.slice(cut + 1) : raw;
    do {
      const piece = text.slice(0, LONGEST);
      text = text.slice(LONGEST);
      this.lines.push({ at, text: piece, look: this.#look });
      this.#chars += piece.length;
      if (piece.includes('\x1b') || piece.includes('\x9b')) this.#look = parse(piece, this.#look).look;
    } while (text);
    if (this.lines.length > MOST_LINES + 5_000 || this.#chars > MOST_CHARS) this.#drop();
  }

  #drop() {
    let n = Math.max(5_000, this.lines.length - MOST_LINES);
    n = Math.min(n, this.lines.length - 1);
    for (const line of this.lines.splice(0, n)) this.#chars -= line.text.length;
    this.dropped += n;
  }
}

/**
 * How many columns a text takes on a terminal: two for wide characters, none for combining ones.
 * @param {string} text
 */
export function columns(text) {
  // What is plain ASCII, as nearly everything is, need not be looked at.
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let n = 0;
  for (const c of text) {
    const code = c.codePointAt(0) ?? 0;
    if (code === 9) n += 8 - (n % 8);
    else if ((code >= 0x300 && code <= 0x36f) || (code >= 0x200b && code <= 0x200f) || (code >= 0xfe00 && code <= 0xfe0f)) n += 0;
    else if ((code >= 0x1100 && code <= 0x115f) || (code >= 0x2e80 && code <= 0xa4cf) || (code >= 0xac00 && code <= 0xd7a3) || (code >= 0xf900 && code <= 0xfaff) || (code >= 0xfe30 && code <= 0xfe6f) || (code >= 0xff00 && code <= 0xff60) || code >= 0x1f300) n += 2;
    else n += 1;
  }
  return n;
}

/**
 * Where lines begin when each takes as many rows as it needs: sums over all before it. Grows with the lines.
 */
export class Rows {
  /** Columns of a row; 0: lines are not wrapped. */
  #width = 0;
  #sums = new Float64Array(1024);
  #count = 0;
  #dropped = 0;

  /**
   * @param {LogLines} log
   * @param {number} width columns of a row, 0 without wrapping
   */
  measure(log, width) {
    if (width !== this.#width || log.dropped !== this.#dropped || log.lines.length < this.#count) this.#count = 0;
    [this.#width, this.#dropped] = [width, log.dropped];
    const n = log.lines.length;
    if (n + 1 > this.#sums.length) {
      const more = new Float64Array(Math.max(n + 1, this.#sums.length * 2));
      more.set(this.#sums);
      this.#sums = more;
    }
    for (let i = this.#count; i < n; i++) {
      const rows = width > 0 ? Math.max(1, Math.ceil(columns(log.lines[i].text) / width)) : 1;
      this.#sums[i + 1] = this.#sums[i] + rows;
    }
    this.#count = n;
  }

  /** All rows. */
  get total() {
    return this.#sums[this.#count];
  }

  /** The row at which a line begins. @param {number} line */
  start(line) {
    return this.#sums[Math.max(0, Math.min(line, this.#count))];
  }

  /** The line that a row belongs to. @param {number} row */
  lineAt(row) {
    let [low, high] = [0, Math.max(0, this.#count - 1)];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#sums[middle] <= row) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/**
 * Cuts pieces at the places where something was found.
 * @param {import('./ansi.js').Piece[]} pieces
 * @param {string} wanted in lower case; empty: nothing
 * @returns {{text: string, look: Look | null, hit: boolean}[]}
 */
export function withHits(pieces, wanted) {
  if (!wanted) return pieces.map((piece) => ({ ...piece, hit: false }));
  const all = pieces.map((piece) => piece.text).join('');
  const low = all.toLowerCase();
  // Letters whose lower case is longer would shift the places.
  if (low.length !== all.length) return pieces.map((piece) => ({ ...piece, hit: false }));
  /** @type {number[]} */
  const edges = [];
  for (let at = low.indexOf(wanted); at >= 0; at = low.indexOf(wanted, at + wanted.length)) edges.push(at, at + wanted.length);
  const found = [];
  let offset = 0;
  for (const { text, look } of pieces) {
    let from = 0;
    while (from < text.length) {
      const before = edges.filter((edge) => edge <= offset + from).length;
      const next = edges[before];
      const to = Math.min(text.length, next === undefined ? Infinity : next - offset);
      found.push({ text: text.slice(from, to), look, hit: before % 2 === 1 });
      from = to;
    }
    offset += text.length;
  }
  return found;
}
