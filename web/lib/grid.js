// A map of cells: one per index or pod, up to a hundred thousand and more, drawn on a canvas. Only the cells that are seen
// are drawn; states are a byte each, and asked for when a cell is drawn. States differ in shape as well as in colour.
//
// Keys: arrows, Home, End, Page move; Enter opens; f and F go to the next and the last failure.

import { h, set, text } from './dom.js';

/** What a cell can be; the number is its code. */
export const CELL = { none: 0, waiting: 1, running: 2, succeeded: 3, failed: 4, deleting: 5 };
export const CELL_WORDS = ['not started', 'waiting', 'running', 'succeeded', 'failed', 'stopping'];

/**
 * @typedef {object} Options
 * @property {string} label
 * @property {() => number} size how many cells there are
 * @property {(i: number) => number} state a code of {@link CELL}
 * @property {(i: number) => string} describe a cell in words
 * @property {(i: number) => void} open
 */

/** Widths of a cell with its gap, the largest first. */
const PITCHES = [20, 16, 13, 10, 8, 6];
/** Pixels that the map may be high before it scrolls. */
const HEIGHT = 320;

export class CellMap {
  #options;
  #canvas = h('canvas', { 'aria-hidden': 'true' });
  #space = h('div', { class: 'cells-space' }, this.#canvas);
  #tip = h('div', { class: 'chart-tip', hidden: true });
  #spoken = h('span', { class: 'visually-hidden', role: 'status', 'aria-live': 'polite' });
  #scroller;
  #pitch = 20;
  #columns = 1;
  #active = -1;
  #frame = 0;
  /** @type {string[]} */
  #colours = [];
  #other = { surface: '', border: '', accent: '' };

  /** @param {Options} options @param {AbortSignal} signal */
  constructor(options, signal) {
    this.#options = options;
    this.#scroller = h('div', {
      class: 'cells', tabIndex: 0, role: 'application', 'aria-roledescription': 'map of cells', 'aria-label': options.label,
      onscroll: () => this.update(), onkeydown: (/** @type {KeyboardEvent} */ e) => this.#key(e),
      onpointermove: (/** @type {PointerEvent} */ e) => this.#hover(e), onpointerleave: () => { this.#tip.hidden = true; },
      onclick: (/** @type {MouseEvent} */ e) => {
        const i = this.#at(e);
        if (i >= 0) this.#options.open(i);
      },
      onblur: () => { this.#tip.hidden = true; },
    }, this.#space);
    this.element = h('div', { class: 'cells-box live' }, this.#scroller, this.#tip, this.#spoken);
    const observer = new ResizeObserver(() => this.#layout());
    observer.observe(this.#scroller);
    const recolour = () => (this.#readColours(), this.update());
    document.addEventListener('themechange', recolour, { signal });
    signal.addEventListener('abort', () => (observer.disconnect(), cancelAnimationFrame(this.#frame)));
  }

  /** @param {string} label */
  setLabel(label) {
    set(this.#scroller, { 'aria-label': label });
  }

  /** Draws anew in the next frame; call it when states or the size have changed. */
  update() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#layout();
    });
  }

  #readColours() {
    const style = getComputedStyle(this.element);
    const colour = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    this.#colours = ['--border-strong', '--waiting-fill', '--running-fill', '--succeeded-fill', '--failed-fill', '--suspended-fill'].map(colour);
    this.#other = { surface: colour('--surface'), border: colour('--border-strong'), accent: colour('--accent') };
  }

  #layout() {
    const width = this.#scroller.clientWidth;
    const n = this.#options.size();
    if (width === 0) return;
    if (this.#colours.length === 0) this.#readColours();
    const rowsAt = (/** @type {number} */ pitch) => Math.ceil(n / Math.max(1, Math.floor(width / pitch)));
    this.#pitch = PITCHES.find((pitch) => rowsAt(pitch) * pitch <= HEIGHT) ?? PITCHES[PITCHES.length - 1];
    this.#columns = Math.max(1, Math.floor(width / this.#pitch));
    const high = rowsAt(this.#pitch) * this.#pitch;
    this.#space.style.height = `${high}px`;
    this.#scroller.style.height = `${Math.min(high, HEIGHT) + 2}px`;
    this.#draw(width, Math.min(high, HEIGHT));
  }

  /** @param {number} width @param {number} height */
  #draw(width, height) {
    const ratio = devicePixelRatio || 1;
    const canvas = this.#canvas;
    const [w, t] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== w || canvas.height !== t) {
      canvas.width = w;
      canvas.height = t;
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    const context = canvas.getContext('2d');
    if (!context) return;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const [pitch, columns, top] = [this.#pitch, this.#columns, this.#scroller.scrollTop];
    const first = Math.floor(top / pitch) * columns;
    const last = Math.min(this.#options.size(), (Math.ceil((top + height) / pitch) + 1) * columns);
    const gap = pitch >= 13 ? 3 : pitch >= 10 ? 2 : 1;
    const size = pitch - gap;
    const x = (/** @type {number} */ i) => (i % columns) * pitch;
    const y = (/** @type {number} */ i) => Math.floor(i / columns) * pitch - top;
    /** @type {number[][]} */
    const by = [[], [], [], [], [], []];
    if (size < 8) {
      // Neighbours of one state are one rectangle, cut apart afterwards: most of a large map is alike.
      for (let i = first; i < last;) {
        const state = this.#options.state(i);
        const end = Math.min(last, (Math.floor(i / columns) + 1) * columns);
        let to = i + 1;
        while (to < end && this.#options.state(to) === state) to++;
        context.fillStyle = this.#colours[state];
        context.fillRect(x(i), y(i), (to - i) * pitch - gap, size);
        if (state === CELL.failed || state === CELL.waiting || state === CELL.running) for (; i < to; i++) by[state].push(i);
        i = to;
      }
      for (let column = 1; column < columns; column++) context.clearRect(column * pitch - gap, 0, gap, height);
    } else {
      for (let i = first; i < last; i++) by[this.#options.state(i)].push(i);
      by.forEach((cells, state) => {
        context.fillStyle = this.#colours[state];
        context.strokeStyle = this.#colours[state];
        context.lineWidth = 1;
        context.beginPath();
        for (const i of cells) context.roundRect(x(i) + (state ? 0 : 0.5), y(i) + (state ? 0 : 0.5), size - (state ? 0 : 1), size - (state ? 0 : 1), size > 10 ? 3 : 2);
        if (state === CELL.none) context.stroke();
        else context.fill();
      });
    }
    this.#signs(context, by, x, y, size);
    if (this.#active >= first && this.#active < last) {
      context.strokeStyle = this.#other.accent;
      context.lineWidth = 2;
      context.strokeRect(x(this.#active) - 0.5, y(this.#active) - 0.5, size + 1, size + 1);
    }
  }

  /**
   * What tells the states apart without colours: a cross for failed, a hole for waiting, a point for running.
   * @param {CanvasRenderingContext2D} context
   * @param {number[][]} by
   * @param {(i: number) => number} x
   * @param {(i: number) => number} y
   * @param {number} size
   */
  #signs(context, by, x, y, size) {
    context.fillStyle = this.#other.surface;
    const hole = Math.max(2, Math.round(size * 0.5));
    const inset = (size - hole) / 2;
    for (const i of by[CELL.waiting]) context.fillRect(x(i) + inset, y(i) + inset, hole, hole);
    context.beginPath();
    for (const i of by[CELL.running]) {
      const r = Math.max(1, size * 0.18);
      context.moveTo(x(i) + size / 2 + r, y(i) + size / 2);
      context.arc(x(i) + size / 2, y(i) + size / 2, r, 0, 7);
    }
    context.fill();
    context.strokeStyle = this.#other.surface;
    context.lineWidth = size >= 10 ? 1.8 : 1;
    const arm = size * 0.28;
    context.beginPath();
    for (const i of by[CELL.failed]) {
      const [a, b] = [size * 0.5 - arm, size * 0.5 + arm];
      context.moveTo(x(i) + a, y(i) + a);
      context.lineTo(x(i) + b, y(i) + b);
      context.moveTo(x(i) + b, y(i) + a);
      context.lineTo(x(i) + a, y(i) + b);
    }
    context.stroke();
  }

  /** The cell at the pointer, or -1. @param {MouseEvent} event */
  #at(event) {
    const box = this.#scroller.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left) / this.#pitch);
    const row = Math.floor((event.clientY - box.top + this.#scroller.scrollTop) / this.#pitch);
    const i = row * this.#columns + column;
    return column >= 0 && column < this.#columns && i >= 0 && i < this.#options.size() ? i : -1;
  }

  /** @param {PointerEvent} event */
  #hover(event) {
    const i = this.#at(event);
    this.#scroller.style.cursor = i >= 0 ? 'pointer' : '';
    if (i < 0) this.#tip.hidden = true;
    else this.#showTip(i);
  }

  /** @param {number} i */
  #showTip(i) {
    text(this.#tip, this.#options.describe(i));
    this.#tip.hidden = false;
    const x = (i % this.#columns) * this.#pitch;
    const y = Math.floor(i / this.#columns) * this.#pitch - this.#scroller.scrollTop;
    this.#tip.style.left = `${Math.max(0, Math.min(x + this.#pitch, this.#scroller.clientWidth - this.#tip.offsetWidth))}px`;
    this.#tip.style.top = `${y > 40 ? y - this.#tip.offsetHeight - 4 : y + this.#pitch + 4}px`;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const rows = Math.max(1, Math.floor(this.#scroller.clientHeight / this.#pitch) - 1) * this.#columns;
    /** @type {Record<string, number>} */
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.#columns, ArrowUp: -this.#columns, PageDown: rows, PageUp: -rows, Home: -Infinity, End: Infinity };
    if (event.key === 'Enter' && this.#active >= 0) this.#options.open(this.#active);
    else if (event.key === 'f' || event.key === 'F') this.nextFailure(event.key === 'f' ? 1 : -1);
    else if (event.key in steps) this.go(this.#active < 0 && Number.isFinite(steps[event.key]) ? 0 : this.#active + steps[event.key]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Makes the cell active, seen and spoken of. @param {number} i */
  go(i) {
    const n = this.#options.size();
    if (n === 0) return;
    this.#active = Math.max(0, Math.min(n - 1, i));
    const y = Math.floor(this.#active / this.#columns) * this.#pitch;
    const scroller = this.#scroller;
    if (scroller.scrollTop > y) scroller.scrollTop = y;
    else if (scroller.scrollTop < y + this.#pitch - scroller.clientHeight) scroller.scrollTop = y + this.#pitch - scroller.clientHeight;
    this.update();
    this.#showTip(this.#active);
    text(this.#spoken, this.#options.describe(this.#active));
  }

  /** @param {1 | -1} step */
  nextFailure(step) {
    const n = this.#options.size();
    for (let k = 1; k <= n; k++) {
      const i = (((this.#active < 0 ? (step > 0 ? -1 : 0) : this.#active) + step * k) % n + n) % n;
      if (this.#options.state(i) !== CELL.failed) continue;
      this.#scroller.focus({ preventScroll: true });
      this.go(i);
      return;
    }
    text(this.#spoken, 'Nothing has failed');
  }
}
