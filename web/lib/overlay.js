// What lies over the page: dialogs, and short messages that go by themselves.

import { ApiError } from './api.js';
import { append, h } from './dom.js';
import { icon, stateIcon } from './ui.js';

/**
 * A dialog; Escape and the backdrop close it. `done(value)` closes it with an answer.
 * @template T
 * @param {string} title
 * @param {(done: (answer: T | null) => void, dialog: HTMLDialogElement) => import('./dom.js').Children} content
 * @param {{modal?: boolean, closable?: boolean}} [options]
 * @returns {Promise<T | null>} null if it was closed
 */
export function openDialog(title, content, options = {}) {
  return new Promise((resolve) => {
    const before = document.activeElement;
    /** @type {T | null} */
    let answer = null;
    const dialog = h('dialog', { 'aria-label': title, closedby: options.closable === false ? 'none' : undefined });
    const done = (/** @type {T | null} */ value) => {
      answer = value;
      dialog.close();
    };
    append(dialog, [h('h2', {}, title), content(done, dialog)]);
    dialog.addEventListener('cancel', (event) => options.closable === false && event.preventDefault());
    dialog.addEventListener('click', (event) => event.target === dialog && options.closable !== false && dialog.close());
    dialog.addEventListener('close', () => {
      dialog.remove();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
      resolve(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/**
 * Asks before something is done.
 * @param {string} title
 * @param {{text: import('./dom.js').Children, action: string, danger?: boolean}} options
 * @returns {Promise<boolean>}
 */
export async function confirm(title, { text, action, danger }) {
  const answer = await openDialog(title, (/** @type {(answer: boolean | null) => void} */ done) => h('form', {
    method: 'dialog', onsubmit: (/** @type {Event} */ e) => (e.preventDefault(), done(true)),
  }, h('div', { class: 'body' }, text), h('div', { class: 'actions' },
    h('button', { type: 'button', class: 'button', onclick: () => done(null) }, 'Cancel'),
    h('button', { type: 'submit', class: `button primary ${danger ? 'danger' : ''}`, autofocus: true }, action))));
  return answer === true;
}

const STAYS = 6_000;

/**
 * @param {string} message
 * @param {'succeeded' | 'failed' | 'none'} [state] a failure stays until it is closed
 */
export function toast(message, state = 'none') {
  const close = () => element.remove();
  const element = h('div', { class: 'toast', 'data-state': state }, h('span', { class: 'badge', 'data-state': state }, stateIcon(state)), h('span', { class: 'grow' }, message),
    h('button', { type: 'button', class: 'icon-button', 'aria-label': 'Close the message', onclick: close }, icon('close')));
  const all = document.getElementById('toasts');
  all?.append(element);
  while (all && all.childElementCount > 4) all.firstElementChild?.remove();
  if (state !== 'failed') setTimeout(close, STAYS);
}

/**
 * Says why something was not done.
 * @param {string} what
 * @param {unknown} error
 */
export function toastError(what, error) {
  const message = error instanceof ApiError ? error.message : String(error);
  toast(`${what}: ${message}`, 'failed');
}
