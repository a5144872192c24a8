// Small parts: icons, the badge of a state, progress, what is shown where there is nothing.

import { fill, h, newId, s, set, text } from './dom.js';

/** Paths of icons on a grid of 16. @type {Record<string, string>} */
const ICONS = {
  overview: 'M2 9h4v5H2zM6.500 2h3v12h-3zM10 6h4v8h-4z',
  jobs: 'M2.500 3.500h11M2.500 8h11M2.500 12.500h7',
  cronjobs: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 5v3.300l2.200 1.700',
  modules: 'M8 1.800 13.500 5v6L8 14.200 2.500 11V5zM2.700 5.200 8 8.200l5.300-3M8 8.200V14',
  events: 'M2 8h2.500L6.500 3l3 10 2-5H14',
  sun: 'M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 1v1.500M8 13.500V15M1 8h1.500M13.500 8H15M3 3l1.100 1.100M11.900 11.900 13 13M13 3l-1.100 1.100M4.100 11.900 3 13',
  moon: 'M13.500 9.600A6 6 0 0 1 6.400 2.500a6 6 0 1 0 7.100 7.100z',
  auto: 'M8 2a6 6 0 1 0 0 12zM8 2a6 6 0 0 1 0 12',
  close: 'M4 4l8 8M12 4l-8 8',
  up: 'M8 12V4M4.500 7.500 8 4l3.500 3.500',
  down: 'M8 4v8M4.500 8.500 8 12l3.500-3.500',
  play: 'M5 3.500v9l7-4.500z',
  pause: 'M5.500 3.500v9M10.500 3.500v9',
  again: 'M13 8a5 5 0 1 1-1.600-3.700M13 2.500V5h-2.500',
  trash: 'M3 4.500h10M6.500 4V2.500h3V4M4.500 4.500l.5 9h6l.5-9',
  search: 'M7 2.500a4.500 4.500 0 1 0 0 9 4.500 4.500 0 0 0 0-9zM10.300 10.300 14 14',
  download: 'M8 2.500v8M4.500 7 8 10.500 11.500 7M3 13.500h10',
};

/** @param {string} name */
export function icon(name) {
  return s('svg', { class: 'icon', viewBox: '0 0 16 16', 'aria-hidden': 'true', fill: 'none', stroke: 'currentColor', 'stroke-width': 1.5, 'stroke-linecap': 'round', 'stroke-linejoin': 'round' },
    s('path', { d: ICONS[name] ?? '' }));
}

/**
 * The sign of a state. Signs differ in shape as well as in colour.
 * @param {string} state
 */
export function stateIcon(state) {
  const line = { fill: 'none', stroke: 'currentColor', 'stroke-width': 1.6, 'stroke-linecap': 'round', 'stroke-linejoin': 'round' };
  const cut = { ...line, stroke: 'var(--surface)', 'stroke-width': 1.8 };
  /** @type {Record<string, () => SVGElement[]>} */
  const shapes = {
    succeeded: () => [s('circle', { cx: 8, cy: 8, r: 7, fill: 'currentColor' }), s('path', { d: 'M5 8.200 7.200 10.400 11 6', ...cut })],
    failed: () => [s('path', { d: 'M5.100 1h5.800L15 5.100v5.800L10.900 15H5.100L1 10.900V5.100z', fill: 'currentColor' }), s('path', { d: 'M5.700 5.700l4.600 4.600M10.300 5.700l-4.600 4.600', ...cut })],
    running: () => [s('circle', { cx: 8, cy: 8, r: 6, ...line, opacity: 0.3 }), s('path', { d: 'M8 2a6 6 0 0 1 6 6', ...line, 'stroke-width': 2 }), s('circle', { cx: 8, cy: 8, r: 2.200, fill: 'currentColor' })],
    waiting: () => [s('circle', { cx: 8, cy: 8, r: 6, ...line, 'stroke-dasharray': '2.200 2.200' }), s('path', { d: 'M8 5v3.200l2 1.400', ...line })],
    suspended: () => [s('rect', { x: 2, y: 2, width: 12, height: 12, rx: 3, ...line }), s('path', { d: 'M6.300 5.800v4.400M9.700 5.800v4.400', ...line })],
    deleting: () => [s('circle', { cx: 8, cy: 8, r: 6, ...line }), s('path', { d: 'M5.500 8h5', ...line })],
    begun: () => [s('circle', { cx: 8, cy: 8, r: 6, ...line }), s('path', { d: 'M6.800 5.500v5l3.800-2.500z', fill: 'currentColor' })],
    none: () => [s('circle', { cx: 8, cy: 8, r: 3, ...line })],
  };
  return s('svg', { class: 'icon', viewBox: '0 0 16 16', 'aria-hidden': 'true' }, ...(shapes[state] ?? shapes.none)());
}

/**
 * A state as a sign and a word.
 * @param {string} state
 * @param {string} word
 * @param {string} [more] further classes, such as `pill`
 */
export function badge(state, word, more = '') {
  return h('span', { class: `badge ${more}`, 'data-state': state }, stateIcon(state), h('span', {}, word));
}

/** Changes a badge that is there. @param {HTMLElement} element @param {string} state @param {string} word */
export function setBadge(element, state, word) {
  if (element.dataset.state !== state) {
    element.dataset.state = state;
    element.firstElementChild?.replaceWith(stateIcon(state));
  }
  if (element.lastElementChild) text(element.lastElementChild, word);
}

/**
 * A bar of parts.
 * @param {string} label
 */
export function progressBar(label) {
  const parts = { succeeded: h('span'), running: h('span', { class: 'running' }), failed: h('span', { class: 'failed' }) };
  const element = h('div', { class: 'progress', role: 'progressbar', 'aria-label': label, 'aria-valuemin': 0, 'aria-valuemax': 100 }, parts.succeeded, parts.running, parts.failed);
  /** @param {number} succeeded @param {number} running @param {number} failed shares of one */
  const update = (succeeded, running, failed) => {
    set(element, { 'aria-valuenow': Math.floor(succeeded * 100) });
    parts.succeeded.style.width = `${succeeded * 100}%`;
    parts.running.style.width = `${running * 100}%`;
    parts.failed.style.width = `${failed * 100}%`;
  };
  return { element, update };
}

/**
 * @param {string} title
 * @param {...import('./dom.js').Children} more
 */
export const empty = (title, ...more) => h('div', { class: 'empty' }, h('strong', {}, title), ...more);

/**
 * @param {string} state
 * @param {...import('./dom.js').Children} children
 */
export const notice = (state, ...children) => h('div', { class: 'notice', 'data-state': state }, stateIcon(state), h('div', { class: 'grow stack small-gap' }, ...children));

/**
 * @param {string} label
 * @param {() => void} onclick
 * @param {{icon?: string, kind?: string, title?: string}} [more]
 */
export function button(label, onclick, more = {}) {
  return h('button', { type: 'button', class: `button ${more.kind ?? ''}`, title: more.title, onclick }, more.icon && icon(more.icon), label);
}

/**
 * A card with a heading.
 * @param {string} title
 * @param {import('./dom.js').Children} aside at the right of the heading
 * @param {...import('./dom.js').Children} children
 */
export function card(title, aside, ...children) {
  return h('section', { class: 'card', 'aria-label': title }, h('div', { class: 'card-head' }, h('h2', {}, title), aside), ...children);
}

/**
 * Names and values.
 * @param {[string, import('./dom.js').Children][]} entries those without a value are left out
 */
export function facts(entries) {
  return h('dl', { class: 'facts' }, entries.filter(([, value]) => value !== null && value !== undefined && value !== '' && value !== false)
    .map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
}

/** Said by screen readers, seen by nobody. @param {string} words */
export function announce(words) {
  const announcer = document.getElementById('announcer');
  if (announcer) text(announcer, words);
}

/**
 * Tabs, of which one is shown; its content is made when it is first opened and goes when another is.
 * @param {string} label
 * @param {{id: string, label: string, show: (panel: HTMLElement, signal: AbortSignal) => void}[]} tabs
 * @param {string} first
 * @param {(id: string) => void} chosen
 * @param {AbortSignal} signal
 */
export function tabView(label, tabs, first, chosen, signal) {
  const panel = h('div', { class: 'tabpanel', role: 'tabpanel', id: newId('panel') });
  /** @type {AbortController | null} */
  let current = null;
  const buttons = tabs.map((tab) => h('button', { type: 'button', role: 'tab', id: newId('tab'), 'aria-controls': panel.id, onclick: () => open(tab.id) }, tab.label));
  const open = (/** @type {string} */ id, focus = false) => {
    const at = Math.max(0, tabs.findIndex((tab) => tab.id === id));
    current?.abort();
    current = new AbortController();
    const own = current.signal;
    buttons.forEach((b, i) => set(b, { 'aria-selected': String(i === at), tabIndex: i === at ? 0 : -1 }));
    set(panel, { 'aria-labelledby': buttons[at].id });
    if (focus) buttons[at].focus();
    fill(panel);
    tabs[at].show(panel, AbortSignal.any([own, signal]));
    chosen(tabs[at].id);
  };
  const list = h('div', { class: 'tabs', role: 'tablist', 'aria-label': label, onkeydown: (/** @type {KeyboardEvent} */ event) => {
    const at = buttons.indexOf(/** @type {HTMLButtonElement} */ (event.target));
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (at < 0 || !step) return;
    open(tabs[(at + step + tabs.length) % tabs.length].id, true);
    event.preventDefault();
  } }, buttons);
  /** @param {string} id @param {string} words */
  const setLabel = (id, words) => text(buttons[tabs.findIndex((t) => t.id === id)], words);
  open(first);
  return { list, panel, open, setLabel };
}
