// Where a module's file is dropped: it goes to the server at once, unless its name means another module there; then the
// user says which name it shall have.

import { fill, h, text } from '../lib/dom.js';
import { bytes } from '../lib/format.js';
import { nameForFile, parseImage, reference, shortDigest } from '../lib/module.js';
import { upload } from '../lib/upload.js';
import { announce, button, icon, notice } from '../lib/ui.js';
import { field, input } from '../lib/fields.js';

/** @typedef {import('../lib/module.js').ModuleRecord} ModuleRecord */
/** @typedef {import('../lib/upload.js').Uploaded} Uploaded */

/**
 * @param {() => Iterable<ModuleRecord>} known the modules that are there
 * @param {(uploaded: Uploaded) => void} done
 * @param {AbortSignal} signal of the view
 */
export function uploadZone(known, done, signal) {
  const file = h('input', { type: 'file', accept: '.wasm,application/wasm', class: 'visually-hidden', 'aria-label': 'A .wasm file' });
  const zone = h(
    'label',
    { class: 'drop' },
    file,
    icon('up'),
    h('span', {}, h('strong', {}, 'Drop a .wasm file here'), ' or choose one'),
    h('span', { class: 'hint' }, 'A WASI program: a module with a main, or a component'),
  );
  const status = h('div', { class: 'stack small-gap', 'aria-live': 'polite' });
  const element = h('div', { class: 'stack small-gap' }, zone, status);

  /** @param {File} chosen */
  const take = async (chosen) => {
    const name = nameForFile(chosen.name);
    const there = holder(name);
    if (there && there.digest !== (await digestOf(chosen))) askForName(chosen, name);
    else await start(chosen, name);
  };
  const holder = (/** @type {string} */ image) => {
    const { name, tag } = parseImage(image);
    return [...known()].find((module) => module.name === name && module.tag === tag);
  };

  /** @param {File} chosen @param {string} name */
  const askForName = (chosen, name) => {
    const named = field('Upload it as', input({ class: 'mono', value: name }));
    const go = button('', () => void start(chosen, named.control.value.trim()), { kind: 'primary' });
    const follow = () => {
      const wanted = named.control.value.trim();
      text(go, holder(wanted) ? `Replace ${wanted}` : 'Upload');
      go.disabled = wanted === '';
    };
    named.control.addEventListener('input', follow);
    named.control.addEventListener('keydown', (event) => {
      if (/** @type {KeyboardEvent} */ (event).key === 'Enter') go.click();
    });
    follow();
    fill(
      status,
      notice(
        'waiting',
        h('p', {}, h('strong', {}, name), ' means another module already. Pods that start from now on would run this one.'),
        named.element,
        h('div', { class: 'actions' }, go, button('Cancel', () => fill(status))),
      ),
    );
    /** @type {HTMLInputElement} */ (named.control).select();
  };

  /** @param {File} chosen @param {string} name */
  const start = async (chosen, name) => {
    const stop = new AbortController();
    const bar = h('progress', { max: Math.max(1, chosen.size), value: 0, 'aria-label': `Upload of ${chosen.name}` });
    const word = h('span', {}, `Uploading ${chosen.name}`);
    fill(status, h('div', { class: 'upload' }, h('div', { class: 'upload-line' }, word, button('Cancel', () => stop.abort(), { kind: 'small' })), bar));
    const progress = (/** @type {number} */ sent) => {
      const all = sent >= chosen.size;
      if (all) bar.removeAttribute('value');
      else bar.value = sent;
      text(word, all ? `Checking and compiling ${chosen.name} (${bytes(chosen.size)})` : `Uploading ${chosen.name}: ${bytes(sent)} of ${bytes(chosen.size)}`);
    };
    try {
      const found = await upload(chosen, name, progress, AbortSignal.any([signal, stop.signal]));
      if (signal.aborted) return;
      const what = found.kind === 'component' ? 'component' : 'command';
      const line = `${reference(found)} is a ${what} of ${bytes(found.size)}`;
      fill(status, notice('succeeded', h('p', {}, h('strong', {}, reference(found)), ` uploaded: a ${what} of ${bytes(found.size)}, `, h('code', {}, shortDigest(found.digest)))));
      announce(line);
      done(found);
    } catch (error) {
      if (signal.aborted) return;
      if (stop.signal.aborted) {
        fill(status, notice('none', h('p', {}, `The upload of ${chosen.name} was cancelled; nothing of it is kept.`)));
        return;
      }
      const message = error instanceof Error ? error.message : String(error);
      fill(status, notice('failed', h('p', {}, h('strong', {}, `${chosen.name} was refused`)), h('p', { class: 'refusal' }, message)));
    }
  };

  file.addEventListener('change', () => {
    const [chosen] = file.files ?? [];
    if (chosen) void take(chosen);
    // The same file can be chosen again.
    file.value = '';
  });
  return { element, take };
}

/** Empty where the browser does not compute it: on a page that came unencrypted from elsewhere. @param {File} file */
async function digestOf(file) {
  if (!globalThis.crypto.subtle) return '';
  const hash = await crypto.subtle.digest('SHA-256', await file.arrayBuffer());
  return `sha256:${[...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

/**
 * Lets files be dropped anywhere on an element.
 * @param {HTMLElement} element
 * @param {(file: File) => void} take
 */
export function acceptDrops(element, take) {
  const over = (/** @type {DragEvent} */ event) => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = 'copy';
    element.classList.add('dropping');
  };
  element.addEventListener('dragenter', over);
  element.addEventListener('dragover', over);
  element.addEventListener('dragleave', (event) => {
    if (!element.contains(/** @type {Node | null} */ (event.relatedTarget))) element.classList.remove('dropping');
  });
  element.addEventListener('drop', (event) => {
    element.classList.remove('dropping');
    const file = event.dataTransfer?.files[0];
    if (!file) return;
    event.preventDefault();
    take(file);
  });
}
