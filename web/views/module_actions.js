// Deleting a module. The server refuses it while something runs it; then one may insist.

import { ApiError, write } from '../lib/api.js';
import { h } from '../lib/dom.js';
import { reference } from '../lib/module.js';
import { confirm, toast, toastError } from '../lib/overlay.js';

/** @typedef {import('../lib/module.js').ModuleRecord} ModuleRecord */

/** Asks first. @param {ModuleRecord} module @returns {Promise<boolean>} whether it is gone */
export async function removeModule(module) {
  const name = reference(module);
  const yes = await confirm(`Delete module ${name}?`, {
    text: h('p', {}, 'Pods that name it wait until a module is uploaded under this name again.'),
    action: 'Delete',
    danger: true,
  });
  if (!yes) return false;
  try {
    await drop(module, false);
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 409) {
      if (error instanceof ApiError && error.code === 404) return true;
      toastError(`${name} was not deleted`, error);
      return false;
    }
    const insists = await confirm(`${name} is in use`, { text: h('p', {}, error.message), action: 'Delete it nevertheless', danger: true });
    if (!insists) return false;
    try {
      await drop(module, true);
    } catch (again) {
      toastError(`${name} was not deleted`, again);
      return false;
    }
  }
  toast(`Module ${name} was deleted`, 'succeeded');
  return true;
}

/** @param {ModuleRecord} module @param {boolean} force */
function drop({ object }, force) {
  const options = { kind: 'DeleteOptions', apiVersion: 'v1', ...(force ? { gracePeriodSeconds: 0 } : {}) };
  return write('DELETE', `/apis/kiln.dev/v1/modules/${encodeURIComponent(object)}`, options);
}
