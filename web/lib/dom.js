// Elements from text. Nothing in this folder parses markup: what comes from a guest or a user can only become a text
// node or the value of an attribute, and the page's policy (require-trusted-types-for) holds it.

/** @typedef {Node | string | number | null | undefined | false} Child */
/** @typedef {Child | Child[]} Children */
/**
 * Attributes by name; `on…` with a function is a listener, `style` an object of CSS properties, and a few names are set
 * as properties. `null`, `undefined` and `false` leave the attribute out, `true` sets it to "".
 * @typedef {Record<string, any>} Props
 */

const PROPERTIES = new Set(['value', 'checked', 'disabled', 'indeterminate', 'readOnly', 'hidden', 'tabIndex', 'selected', 'open']);
const SVG = 'http://www.w3.org/2000/svg';

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Props | null} [props]
 * @param {...Children} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  if (props) set(element, props);
  append(element, children);
  return element;
}

/**
 * The same for SVG.
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag
 * @param {Props | null} [props]
 * @param {...Children} children
 * @returns {SVGElementTagNameMap[K]}
 */
export function s(tag, props, ...children) {
  const element = document.createElementNS(SVG, tag);
  if (props) set(element, props);
  append(element, children);
  return element;
}

/**
 * Sets attributes, as {@link h} does.
 * @param {Element} element
 * @param {Props} props
 */
export function set(element, props) {
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith('on')) {
      if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    } else if (name === 'style') {
      for (const [property, of] of Object.entries(value ?? {})) {
        /** @type {HTMLElement} */ (element).style.setProperty(property, of == null ? null : String(of));
      }
    } else if (name === 'href' && !isSafeLink(String(value))) {
      // A link that would run code is no link.
    } else if (PROPERTIES.has(name)) {
      if (value !== undefined) /** @type {any} */ (element)[name] = value;
    } else if (value === null || value === undefined || value === false) {
      element.removeAttribute(name);
    } else {
      element.setAttribute(name, value === true ? '' : String(value));
    }
  }
}

/** Within the page, or a file that the page has made (`blob:`). @param {string} href */
export function isSafeLink(href) {
  return href.startsWith('#') || href.startsWith('blob:') || /^https?:\/\//.test(href);
}

/**
 * @param {Node} parent
 * @param {Children[]} children
 */
export function append(parent, children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    parent.appendChild(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/**
 * Puts these in place of all children.
 * @param {Element} parent
 * @param {...Children} children
 */
export function fill(parent, ...children) {
  parent.replaceChildren();
  append(parent, children);
}

/**
 * Writes a text only where it is another, so that nothing is laid out or read aloud again for nothing.
 * @param {Element} element
 * @param {string | number} text
 */
export function text(element, text) {
  const wanted = String(text);
  if (element.textContent !== wanted) element.textContent = wanted;
}

/**
 * An element that must be there.
 * @template {Element} T
 * @param {string} selector
 * @param {ParentNode} [root]
 * @returns {T}
 */
export function $(selector, root = document) {
  const found = root.querySelector(selector);
  if (!found) throw new Error(`nothing matches ${selector}`);
  return /** @type {T} */ (found);
}

let lastId = 0;
/** A new id for labels and descriptions. @param {string} [prefix] */
export const newId = (prefix = 'id') => `${prefix}-${++lastId}`;

/** Lets the browser do something else in between: input, painting. */
export function breathe() {
  const scheduler = /** @type {any} */ (globalThis).scheduler;
  return scheduler?.yield ? scheduler.yield() : new Promise((resolve) => setTimeout(resolve));
}

/**
 * Goes through `items` in slices of some milliseconds, so that no task is long.
 * @template T
 * @param {Iterable<T>} items
 * @param {(item: T) => void} each
 * @param {AbortSignal} [signal]
 */
export async function inSlices(items, each, signal) {
  let until = performance.now() + 8;
  for (const item of items) {
    each(item);
    if (performance.now() > until) {
      await breathe();
      if (signal?.aborted) return;
      until = performance.now() + 8;
    }
  }
}

/**
 * Runs something soon after it is asked for, and not more often than `wait` says: what is shown of many things that change
 * all the time need not be worked out for each change.
 * @param {() => void} run
 * @param {() => number} wait milliseconds from one run to the next
 * @param {AbortSignal} signal
 */
export function atMost(run, wait, signal) {
  let last = -Infinity;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let due;
  signal.addEventListener('abort', () => clearTimeout(due));
  return () => {
    if (signal.aborted) return;
    due ??= setTimeout(() => {
      due = undefined;
      last = performance.now();
      run();
    }, Math.max(0, last + wait() - performance.now()));
  };
}

/** Whether the keyboard's letters go into a text that is being written. @param {EventTarget | null} target */
export function isTyping(target) {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}
