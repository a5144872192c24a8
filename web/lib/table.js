// A table of any number of rows, of which only those exist that are seen. Rows are given sorted and filtered; cells are
// made once per visible row and told of the record that they show.
//
// The grid itself has the focus, and names its active row (aria-activedescendant), so that a row may leave the page
// while it is active. Keys: arrows or j/k, Page, Home, End, Enter opens, Space selects, Ctrl+A selects all.

import { h, newId, set } from './dom.js';
import { icon } from './ui.js';

/**
 * @template R
 * @typedef {object} Column
 * @property {string} id
 * @property {string} label
 * @property {string} width of CSS grid, e.g. `minmax(160px, 2fr)`
 * @property {string} [phone] the same on a phone; without it the column is not there
 * @property {boolean} [number] right-aligned
 * @property {(a: R, b: R) => number} [compare] if it can be sorted by
 * @property {boolean} [descendingFirst]
 * @property {(cell: HTMLElement) => (record: R, now: number) => void} make builds a cell, answers how to update it
 */

/**
 * @template R
 * @typedef {object} Options
 * @property {string} label of the grid, for screen readers
 * @property {Column<R>[]} columns
 * @property {(record: R) => string} key
 * @property {(record: R) => void} open
 * @property {boolean} [selectable]
 * @property {(record: R) => string} [name] for the label of the checkbox
 * @property {() => void} [selected] the selection has changed
 * @property {() => void} [sorted] another order is wanted
 * @property {() => Node} [empty] shown if there are no rows
 * @property {() => number} now
 */

/**
 * A row of the page, and which record it shows.
 * @template R
 * @typedef {{element: HTMLElement, updates: ((record: R, now: number) => void)[], check: HTMLInputElement | null, index: number, record: R | null}} Slot
 */

/** What columns of these widths need at least, with their gaps. @param {string[]} widths */
const leastWidth = (widths) => widths.reduce((sum, width) => sum + Number(/\d+/.exec(width)?.[0] ?? 0) + 12, 12);

/** Rows beyond the edges, so that scrolling shows no gaps. */
const SPARE = 6;

/** @template R */
export class Table {
  /** @type {Set<string>} keys */
  selection = new Set();
  sort = { column: '', descending: false };
  /** @type {R[]} */
  rows = [];

  /** @type {Options<R>} */
  #options;
  #id = newId('row');
  #body = h('div', { class: 'tbody', role: 'rowgroup' });
  /** @type {Slot<R>[]} */
  #slots = [];
  #active = -1;
  #rowHeight = 40;
  #all = h('input', { type: 'checkbox', 'aria-label': 'Select all that match', tabIndex: -1 });
  #empty = h('div', { hidden: true });
  /** @type {Map<string, HTMLElement>} */
  #heads = new Map();
  #frame = 0;

  /** @param {Options<R>} options */
  constructor(options) {
    this.#options = options;
    const { columns, selectable } = options;
    const check = selectable ? ['20px'] : [];
    const onPhone = columns.filter((c) => c.phone);
    this.element = h('div', {
      class: 'table live', role: 'grid', tabIndex: 0, 'aria-label': options.label, 'aria-multiselectable': selectable ? 'true' : null,
      'aria-colcount': columns.length + check.length,
      style: {
        '--columns': [...check, ...columns.map((c) => c.width)].join(' '),
        '--table-width': `${leastWidth([...check, ...columns.map((c) => c.width)])}px`,
        '--columns-phone': [...check, ...onPhone.map((c) => c.phone)].join(' '),
      },
      onscroll: () => this.#later(), onkeydown: (/** @type {KeyboardEvent} */ e) => this.#key(e),
    }, h('div', { class: 'thead', role: 'rowgroup' }, h('div', { role: 'row', 'aria-rowindex': 1 },
      selectable && h('div', { role: 'columnheader' }, this.#all), columns.map((column) => this.#head(column)))), this.#body, this.#empty);
    this.#all.addEventListener('change', () => this.selectAll(this.#all.checked));
    this.#body.addEventListener('click', (event) => this.#click(event));
    this.#observer.observe(this.element);
  }

  #observer = new ResizeObserver(() => {
    // A row is as high as the style says, which depends on the width of the page.
    const row = Number.parseFloat(getComputedStyle(document.documentElement).getPropertyValue('--row'));
    if (row > 0 && row !== this.#rowHeight) {
      this.#rowHeight = row;
      for (const slot of this.#slots) slot.index = -1;
    }
    this.#layout();
    this.#draw(true);
  });

  /** @param {Column<R>} column */
  #head(column) {
    const side = h('span', { 'aria-hidden': 'true' });
    const label = column.compare
      ? h('button', { type: 'button', tabIndex: 0, onclick: () => this.#sortBy(column) }, column.label, side) : column.label;
    const head = h('div', { role: 'columnheader', class: `${column.number ? 'number' : ''} ${column.phone ? '' : 'wide'}` }, label);
    this.#heads.set(column.id, head);
    return head;
  }

  /** @param {Column<R>} column */
  #sortBy(column) {
    const same = this.sort.column === column.id;
    this.setSort(column.id, same ? !this.sort.descending : column.descendingFirst === true);
    this.#options.sorted?.();
  }

  /** @param {string} id @param {boolean} descending */
  setSort(id, descending) {
    this.sort = { column: id, descending };
    for (const [column, head] of this.#heads) {
      set(head, { 'aria-sort': column === id ? (descending ? 'descending' : 'ascending') : null });
      const side = head.querySelector('button span');
      side?.replaceChildren(...(column === id ? [icon(descending ? 'down' : 'up')] : []));
    }
  }

  /** How two rows are ordered now. @returns {(a: R, b: R) => number} */
  get compare() {
    const column = this.#options.columns.find((c) => c.id === this.sort.column);
    const compare = column?.compare ?? (() => 0);
    return this.sort.descending ? (a, b) => compare(b, a) : compare;
  }

  /** Shows these, in this order. @param {R[]} rows */
  setRows(rows) {
    const active = this.rows[this.#active];
    const key = active && this.#options.key(active);
    this.rows = rows;
    // The active row stays active where it has moved to; looked for near its old place first.
    if (key !== undefined && (!rows[this.#active] || this.#options.key(rows[this.#active]) !== key)) {
      const at = rows.findIndex((row) => this.#options.key(row) === key);
      this.#active = at >= 0 ? at : Math.min(this.#active, rows.length - 1);
    }
    set(this.element, { 'aria-rowcount': rows.length + 1 });
    this.#layout();
    this.#draw(true);
  }

  /** Writes what is seen anew, for times that go by and for a changed selection. */
  refresh() {
    this.#draw(true);
  }

  #layout() {
    this.#body.style.height = `${this.rows.length * this.#rowHeight}px`;
    const none = this.rows.length === 0;
    if (none && this.#options.empty) this.#empty.replaceChildren(this.#options.empty());
    this.#empty.hidden = !none;
  }

  #later() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw(false);
    });
  }

  /** @param {boolean} anew also rows that show the same record as before */
  #draw(anew) {
    const { clientHeight, scrollTop } = this.element;
    if (clientHeight === 0) return;
    const height = this.#rowHeight;
    const seen = Math.ceil(clientHeight / height) + 2 * SPARE;
    while (this.#slots.length < Math.min(seen, this.rows.length)) this.#slots.push(this.#slot());
    const first = Math.max(0, Math.min(Math.floor(scrollTop / height) - SPARE, this.rows.length - seen));
    const now = this.#options.now();
    const size = this.#slots.length;
    for (let i = first; i < first + size; i++) {
      const slot = this.#slots[i % size];
      const record = this.rows[i] ?? null;
      const moved = slot.index !== i;
      if (!moved && slot.record === record && !anew) continue;
      this.#show(slot, i, record, moved, now);
    }
    const active = this.#active >= first && this.#active < first + size && this.rows[this.#active];
    set(this.element, { 'aria-activedescendant': active ? this.#slots[this.#active % size].element.id : null });
    const { selection } = this;
    if (this.#options.selectable) {
      const all = this.rows.length > 0 && selection.size >= this.rows.length;
      this.#all.checked = all;
      this.#all.indeterminate = selection.size > 0 && !all;
    }
  }

  /** @param {Slot<R>} slot @param {number} i @param {R | null} record @param {boolean} moved @param {number} now */
  #show(slot, i, record, moved, now) {
    slot.index = i;
    slot.record = record;
    slot.element.hidden = record === null;
    // Also without a record: one may come, at the place where the slot is then taken to be.
    if (moved) {
      slot.element.style.transform = `translateY(${i * this.#rowHeight}px)`;
      slot.element.setAttribute('aria-rowindex', String(i + 2));
    }
    if (record === null) return;
    slot.element.classList.toggle('active', i === this.#active);
    if (slot.check) {
      const selected = this.selection.has(this.#options.key(record));
      slot.check.checked = selected;
      slot.check.setAttribute('aria-label', `Select ${this.#options.name?.(record) ?? ''}`);
      slot.element.setAttribute('aria-selected', String(selected));
    }
    for (const update of slot.updates) update(record, now);
  }

  /** @returns {Slot<R>} */
  #slot() {
    const { columns, selectable } = this.#options;
    const check = selectable ? h('input', { type: 'checkbox', tabIndex: -1 }) : null;
    const element = h('div', { role: 'row', id: `${this.#id}-${this.#slots.length}` }, check && h('div', { role: 'gridcell' }, check));
    const updates = columns.map((column) => {
      const cell = h('div', { role: 'gridcell', class: `${column.number ? 'number' : ''} ${column.phone ? '' : 'wide'}` });
      element.append(cell);
      return column.make(cell);
    });
    this.#body.append(element);
    return { element, updates, check, index: -1, record: null };
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const target = /** @type {Element} */ (event.target);
    const slot = this.#slots.find((s) => s.element.contains(target));
    if (!slot?.record) return;
    this.#active = slot.index;
    if (target === slot.check) return this.#toggle(slot.index, event.shiftKey);
    const isOwn = target.closest('a, button');
    // A text that was just selected is not a click.
    if (!isOwn && !event.defaultPrevented && String(getSelection()) === '') {
      if (event.ctrlKey || event.metaKey) this.#toggle(slot.index, false);
      else this.#options.open(slot.record);
    }
    this.#draw(true);
  }

  #last = -1;

  /** @param {number} index @param {boolean} range from the one before to here */
  #toggle(index, range) {
    const record = this.rows[index];
    if (!record || !this.#options.selectable) return;
    const on = !this.selection.has(this.#options.key(record));
    const [a, b] = range && this.#last >= 0 ? [Math.min(index, this.#last), Math.max(index, this.#last)] : [index, index];
    for (const row of this.rows.slice(a, b + 1)) {
      const key = this.#options.key(row);
      if (on) this.selection.add(key);
      else this.selection.delete(key);
    }
    this.#last = index;
    this.#draw(true);
    this.#options.selected?.();
  }

  /** @param {boolean} on */
  selectAll(on) {
    this.selection = new Set(on ? this.rows.map(this.#options.key) : []);
    this.#draw(true);
    this.#options.selected?.();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.target !== this.element || event.altKey) return;
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.#rowHeight) - 2);
    /** @type {Record<string, number>} */
    const steps = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key === 'Enter' && this.rows[this.#active]) this.#options.open(this.rows[this.#active]);
    else if (event.key === ' ' && this.#active >= 0) this.#toggle(this.#active, event.shiftKey);
    else if (event.key === 'a' && (event.ctrlKey || event.metaKey) && this.#options.selectable) this.selectAll(true);
    else if (event.key in steps && !event.ctrlKey && !event.metaKey) this.#go(this.#active + steps[event.key]);
    else return;
    event.preventDefault();
  }

  /** @param {number} index */
  #go(index) {
    if (this.rows.length === 0) return;
    this.#active = Math.max(0, Math.min(index, this.rows.length - 1));
    const { element } = this;
    const head = 36;
    const top = this.#active * this.#rowHeight;
    const low = top + this.#rowHeight + head - element.clientHeight;
    if (element.scrollTop > top) element.scrollTop = top;
    else if (element.scrollTop < low) element.scrollTop = low;
    this.#draw(true);
  }

  /** Puts the focus into the table, on its first row if none was active. */
  focus() {
    this.element.focus({ preventScroll: true });
    if (this.#active < 0) this.#go(0);
  }

  destroy() {
    this.#observer.disconnect();
    cancelAnimationFrame(this.#frame);
  }
}
