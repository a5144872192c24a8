// The YAML of an object: to read, to copy, and to change where the server allows it. The text is sent as it was written,
// and the server's own words about a field are shown at its line.

import { ApiError, get, write } from './api.js';
import { fill, h, newId } from './dom.js';
import { toast } from './overlay.js';
import { button, notice } from './ui.js';
import { emit, lineOf } from './yaml.js';

/**
 * @param {HTMLElement} parent
 * @param {string} path of the object
 * @param {{editable: boolean, hint?: string}} options
 * @param {AbortSignal} signal
 */
export async function yamlView(parent, path, { editable, hint }, signal) {
  let everything = false;
  const box = h('div', { class: 'stack' });
  parent.append(box);
  await read();

  async function read() {
    let object;
    try {
      object = await get(path, { signal });
    } catch (error) {
      if (!signal.aborted) fill(box, notice('failed', h('p', {}, error instanceof Error ? error.message : String(error))));
      return;
    }
    if (!everything) delete object.metadata.managedFields;
    const text = emit(object);
    const check = h('input', { type: 'checkbox', checked: everything, onchange: () => { everything = check.checked; void read(); } });
    fill(box, h('div', { class: 'row wrap' },
      editable && button('Edit', () => edit(object), { kind: 'primary' }),
      button('Copy', async () => {
        await navigator.clipboard.writeText(text).then(() => toast('Copied', 'succeeded'), () => toast('The browser does not allow copying', 'failed'));
      }),
      button('Load anew', read), h('label', { class: 'row small muted' }, check, 'with managedFields')),
    h('pre', { class: 'block tall', tabIndex: 0, 'aria-label': 'YAML' }, text));
  }

  /** @param {any} object */
  function edit(object) {
    // What the server writes is not for editing: it ignores the status here, and keeps its own account of the fields.
    const { status: _status, ...rest } = object;
    const { managedFields: _fields, ...metadata } = rest.metadata;
    const id = newId('yaml');
    const area = h('textarea', { id, class: 'code tall', spellcheck: 'false', autocapitalize: 'off', autocomplete: 'off', 'aria-describedby': `${id}-problems` });
    area.value = emit({ ...rest, metadata });
    const problems = h('div', { id: `${id}-problems`, role: 'alert' });
    const save = button('Save', async () => {
      save.disabled = true;
      fill(problems);
      try {
        await write('PUT', path, area.value, { query: { fieldValidation: 'Strict' } });
        toast('Saved', 'succeeded');
        await read();
      } catch (error) {
        if (signal.aborted) return;
        fill(problems, faults(error, area, error instanceof ApiError && error.code === 409 ? h('p', {}, 'Somebody, or kiln itself, has changed it meanwhile. Copy what you need and load it anew.') : null));
      } finally {
        save.disabled = false;
      }
    }, { kind: 'primary' });
    area.addEventListener('keydown', (event) => {
      if (event.key === 's' && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        save.click();
      }
    });
    fill(box, hint && h('p', { class: 'muted' }, hint), problems, h('div', { class: 'field' }, h('label', { for: id }, 'YAML'), area),
      h('div', { class: 'row' }, save, button('Cancel', read)));
    area.focus();
    area.setSelectionRange(0, 0);
  }
}

/**
 * What a server says is wrong with a text; each fault of a field leads to its line.
 * @param {unknown} error
 * @param {HTMLTextAreaElement} area
 * @param {import('./dom.js').Children} [more]
 */
export function faults(error, area, more) {
  const message = error instanceof Error ? error.message : String(error);
  const causes = error instanceof ApiError ? error.causes : [];
  const field = (/** @type {string} */ name) => {
    const line = lineOf(area.value, name);
    return line < 0 ? h('strong', {}, name) : h('button', { type: 'button', class: 'link', onclick: () => goToLine(area, line) }, `${name} (line ${line + 1})`);
  };
  return notice('failed', causes.length
    ? h('ul', { class: 'faults' }, causes.map((c) => h('li', {}, c.field && field(c.field), ' ', c.message ?? '')))
    : h('p', {}, message), more);
}

/** @param {HTMLTextAreaElement} area @param {number} line from 0 */
export function goToLine(area, line) {
  const lines = area.value.split('\n');
  const start = lines.slice(0, line).reduce((sum, l) => sum + l.length + 1, 0);
  area.focus();
  area.setSelectionRange(start, start + (lines[line]?.length ?? 0));
  const height = Number.parseFloat(getComputedStyle(area).lineHeight) || 18;
  area.scrollTop = Math.max(0, line * height - area.clientHeight / 2);
}
