// What can be done to a CronJob.

import { ApiError, patch, pathOf, remove, write } from '../lib/api.js';
import { jobFrom } from '../lib/cronjob.js';
import { h } from '../lib/dom.js';
import { confirm, toast, toastError } from '../lib/overlay.js';
import { jobHref } from './index.js';

/** @typedef {import('../lib/cronjob.js').CronRecord} CronRecord */

const LETTERS = 'bcdfghjklmnpqrstvwxz2456789';

/** Five letters, as Kubernetes makes names unique. */
function suffix() {
  return [...crypto.getRandomValues(new Uint8Array(5))].map((byte) => LETTERS[byte % LETTERS.length]).join('');
}

/** Makes a Job from its template and goes there. @param {CronRecord} cron */
export async function runNow(cron) {
  try {
    const made = await write('POST', pathOf('jobs', cron.namespace), jobFrom(cron, suffix()));
    toast(`Job ${made.metadata.name} was made from ${cron.name}`, 'succeeded');
    location.hash = jobHref(cron.namespace, made.metadata.name);
  } catch (error) {
    toastError(`${cron.name} was not run`, error);
  }
}

/** @param {CronRecord} cron @param {boolean} on */
export async function setSuspended(cron, on) {
  try {
    await patch(pathOf('cronjobs', cron.namespace, cron.name), { spec: { suspend: on } });
    toast(on ? `${cron.name} is suspended; Jobs that run go on` : `${cron.name} runs again by its schedule`, 'succeeded');
  } catch (error) {
    toastError(`${cron.name} was not changed`, error);
  }
}

/** Asks first. @param {CronRecord} cron @returns {Promise<boolean>} whether it is gone */
export async function removeCron(cron) {
  const yes = await confirm(`Delete CronJob ${cron.name}?`, {
    text: h('p', {}, 'Its Jobs go with it, with their pods and logs.'),
    action: 'Delete',
    danger: true,
  });
  if (!yes) return false;
  try {
    await remove(pathOf('cronjobs', cron.namespace, cron.name));
    toast(`CronJob ${cron.name} was deleted`, 'succeeded');
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.code === 404) return true;
    toastError(`${cron.name} was not deleted`, error);
    return false;
  }
}
