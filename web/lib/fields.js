// Fields of a form: a label, a control, a hint, and what is wrong with it, tied together for screen readers.

import { h, newId, set, text } from './dom.js';

/** @typedef {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} Control */
/** @typedef {{ element: HTMLElement, control: Control, setFault: (text: string) => void }} Field */

/**
 * @param {string} label
 * @param {Control} control
 * @param {import('./dom.js').Children} [hint]
 * @returns {Field}
 */
export function field(label, control, hint) {
  const [id, about, wrong] = [newId('field'), newId('hint'), newId('fault')];
  const fault = h('span', { class: 'error', id: wrong, hidden: true });
  set(control, { id, 'aria-describedby': hint ? about : null });
  const name = h('label', { for: id }, label);
  const below = hint && h('span', { class: 'hint', id: about }, hint);
  const isCheck = control instanceof HTMLInputElement && control.type === 'checkbox';
  const element = isCheck
    ? h('div', { class: 'field check' }, h('div', { class: 'check-line' }, control, name), below, fault)
    : h('div', { class: 'field' }, name, control, below, fault);
  /** @param {string} said empty if nothing is wrong */
  const setFault = (said) => {
    text(fault, said);
    fault.hidden = said === '';
    set(control, {
      'aria-invalid': said === '' ? null : 'true',
      'aria-describedby': [hint ? about : '', said === '' ? '' : wrong].filter(Boolean).join(' ') || null,
    });
  };
  return { element, control, setFault };
}

/** @param {import('./dom.js').Props} [props] */
export const input = (props) => h('input', { type: 'text', autocomplete: 'off', spellcheck: 'false', ...props });

/** @param {import('./dom.js').Props} [props] */
export const numberInput = (props) => input({ inputmode: 'numeric', ...props });

/** @param {[string, string][]} options values and labels */
export const select = (options) =>
  h('select', {}, options.map(([value, label]) => h('option', { value }, label)));

export const checkbox = () => h('input', { type: 'checkbox' });
