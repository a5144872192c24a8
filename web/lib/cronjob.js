// What a CronJob does, from its object alone. No DOM, no clock.

import { parseSchedule, ScheduleError } from './cron.js';
import { isZone, nextTimes } from './cron_times.js';
import { scheduleInWords } from './cron_words.js';
import { moment } from './time.js';

/**
 * @typedef {object} CronRecord
 * @property {string} uid
 * @property {string} namespace
 * @property {string} name
 * @property {string} schedule
 * @property {string} timeZone empty: the server's own
 * @property {boolean} suspended
 * @property {string} concurrency
 * @property {{ name: string, namespace: string }[]} active Jobs that run
 * @property {number} lastSchedule NaN if there was none
 * @property {number} lastSuccess NaN if there was none
 * @property {number} created
 * @property {string} image of the first container
 * @property {any} template of its Jobs
 * @property {any} object as the server has it
 */

/** @param {any} object a CronJob @returns {CronRecord} */
export function cronRecord(object) {
  const { metadata, spec = {}, status = {} } = object;
  return {
    uid: metadata.uid,
    namespace: metadata.namespace,
    name: metadata.name,
    schedule: spec.schedule ?? '',
    timeZone: spec.timeZone ?? '',
    suspended: spec.suspend === true,
    concurrency: spec.concurrencyPolicy ?? 'Allow',
    active: status.active ?? [],
    lastSchedule: moment(status.lastScheduleTime),
    lastSuccess: moment(status.lastSuccessfulTime),
    created: moment(metadata.creationTimestamp),
    image: spec.jobTemplate?.spec?.template?.spec?.containers?.[0]?.image ?? '',
    template: spec.jobTemplate ?? {},
    object,
  };
}

/** `every weekday at 09:00`; the schedule as it is written if it cannot be read. @param {string} schedule */
export function inWords(schedule) {
  try {
    return scheduleInWords(parseSchedule(schedule));
  } catch (error) {
    if (error instanceof ScheduleError) return schedule;
    throw error;
  }
}

/**
 * The next times, whether it is suspended or not; none if the zone is not known here.
 * @param {CronRecord} cron
 * @param {string} serverZone by whose clock it runs if it names no zone; empty if that is not known
 * @param {number} now
 * @param {number} count
 * @returns {number[]}
 */
export function upcoming(cron, serverZone, now, count) {
  try {
    const schedule = parseSchedule(cron.schedule);
    if ('every' in schedule) {
      const step = schedule.every * 1000;
      const base = Number.isNaN(cron.lastSchedule) ? cron.created : cron.lastSchedule;
      const passed = Math.max(0, Math.floor((now - base) / step));
      return nextTimes(schedule, base + passed * step, 'UTC', count);
    }
    const zone = cron.timeZone || serverZone;
    return isZone(zone) ? nextTimes(schedule, now, zone, count) : [];
  } catch (error) {
    if (error instanceof ScheduleError) return [];
    throw error;
  }
}

/**
 * A Job made now, as `kubectl create job --from=cronjob/NAME` makes it.
 * @param {CronRecord} cron
 * @param {string} suffix of its name
 */
export function jobFrom(cron, suffix) {
  const { metadata = {}, spec } = cron.template;
  const owner = { apiVersion: 'batch/v1', kind: 'CronJob', name: cron.name, uid: cron.uid, controller: true };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: `${cron.name.slice(0, 52)}-${suffix}`,
      labels: metadata.labels,
      annotations: { ...metadata.annotations, 'cronjob.kubernetes.io/instantiate': 'manual' },
      ownerReferences: [owner],
    },
    spec,
  };
}
