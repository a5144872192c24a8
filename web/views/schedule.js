// Moments as a schedule's zone has them.

import { get } from '../lib/api.js';

/** @type {Promise<string> | undefined} */
let asked;

/** By whose clock schedules run that name no zone: the node says it. Empty if it does not. @returns {Promise<string>} */
export function serverZone() {
  asked ??= get('/api/v1/nodes', { query: { limit: 1 } }).then(
    (list) => list.items?.[0]?.metadata?.annotations?.['kiln.dev/time-zone'] ?? '',
    () => {
      // Asked again by whoever comes next.
      asked = undefined;
      return '';
    },
  );
  return asked;
}

/** @type {Map<string, Intl.DateTimeFormat>} */
const formats = new Map();

/**
 * `Mon 30 Nov, 09:00` by the clock of a zone.
 * @param {number} at
 * @param {string} zone
 */
export function inZone(at, zone) {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-GB', {
      timeZone: zone,
      weekday: 'short',
      day: 'numeric',
      month: 'short',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    });
    formats.set(zone, format);
  }
  return format.format(at);
}
