// How a CronJob's schedule is written: five fields or a descriptor. The same grammar and the same complaints as the
// server's (src/api/cronjob/grammar.rs and validate.rs), so that a form can tell while somebody types; the server has the last word.

/** The values of a field, smallest first. `any`: it was written as a star, so that the other field of days decides alone.
 * @typedef {{ values: number[], any: boolean }} Field */
/** @typedef {{ minutes: number[], hours: number[], days: Field, months: number[], weekdays: Field }} Calendar */
/** Either a calendar, or so many seconds after the last time. @typedef {{ calendar: Calendar } | { every: number }} Schedule */
/** @typedef {{ least: number, most: number, names: string[] }} Bounds */

/** A schedule that the server would refuse; its message is the server's. */
export class ScheduleError extends Error {}

/** @type {Bounds} */
export const MINUTES = { least: 0, most: 59, names: [] };
/** @type {Bounds} */
export const HOURS = { least: 0, most: 23, names: [] };
/** @type {Bounds} */
export const DAYS = { least: 1, most: 31, names: [] };
/** @type {Bounds} */
export const MONTHS = {
  least: 1,
  most: 12,
  names: ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'],
};
/** Sunday is 0, and 7 is no day. @type {Bounds} */
export const WEEKDAYS = { least: 0, most: 6, names: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] };

/** @type {Record<string, string>} */
const DESCRIPTORS = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

const EVERY = '@every ';

/** @param {string} text @returns {Schedule} @throws {ScheduleError} */
export function parseSchedule(text) {
  if (text === '') {
    throw new ScheduleError('empty spec string');
  }
  if (text.includes('TZ')) {
    throw new ScheduleError('cannot use TZ or CRON_TZ in schedule, use timeZone field instead');
  }
  if (text.startsWith('@')) {
    return descriptor(text);
  }
  const fields = text.split(/\s+/u).filter((field) => field !== '');
  const [minute, hour, day, month, weekday] = fields;
  if (
    minute === undefined ||
    hour === undefined ||
    day === undefined ||
    month === undefined ||
    weekday === undefined ||
    fields.length > 5
  ) {
    throw new ScheduleError(`expected exactly 5 fields, found ${fields.length}: [${fields.join(' ')}]`);
  }
  return {
    calendar: {
      minutes: parseField(minute, MINUTES).values,
      hours: parseField(hour, HOURS).values,
      days: parseField(day, DAYS),
      months: parseField(month, MONTHS).values,
      weekdays: parseField(weekday, WEEKDAYS),
    },
  };
}

/** @param {string} text @returns {Schedule} */
function descriptor(text) {
  const fields = Object.hasOwn(DESCRIPTORS, text) ? DESCRIPTORS[text] : undefined;
  if (fields !== undefined) {
    return parseSchedule(fields);
  }
  if (!text.startsWith(EVERY)) {
    throw new ScheduleError(`unrecognized descriptor: ${text}`);
  }
  try {
    return { every: Math.max(1, parseSeconds(text.slice(EVERY.length))) };
  } catch (error) {
    throw error instanceof ScheduleError
      ? new ScheduleError(`failed to parse duration ${text}: ${error.message}`)
      : error;
  }
}

/** A list of ranges. Empty ones are skipped, so that a field may also name nothing. @param {string} text @param {Bounds} bounds @returns {Field} */
function parseField(text, bounds) {
  const ranges = text
    .split(',')
    .filter((part) => part !== '')
    .map((part) => parseRange(part, bounds));
  const values = [...new Set(ranges.flatMap((range) => range.values))].sort((a, b) => a - b);
  return { values, any: ranges.some((range) => range.any) };
}

/** `*`, `?`, `a` or `a-b`, each with `/step` or without. `a/step` goes on to the greatest value. @param {string} text @param {Bounds} bounds @returns {Field} */
function parseRange(text, bounds) {
  const [range = '', ...steps] = text.split('/');
  const ends = range.split('-');
  const [first = '', last] = ends;
  // What follows a star is not looked at.
  let any = first === '*' || first === '?';
  if (!any && ends.length > 2) {
    throw new ScheduleError(`too many hyphens: ${text}`);
  }
  const start = any ? BigInt(bounds.least) : parseValue(first, bounds);
  let end = any ? BigInt(bounds.most) : last === undefined ? start : parseValue(last, bounds);
  let step = 1n;
  if (steps[0] !== undefined) {
    if (steps.length > 1) {
      throw new ScheduleError(`too many slashes: ${text}`);
    }
    step = parseNumber(steps[0]);
    if (ends.length === 1) {
      end = BigInt(bounds.most);
    }
    // A star with a step is a restriction.
    any &&= step <= 1n;
  }
  if (start < bounds.least) {
    throw new ScheduleError(`beginning of range (${start}) below minimum (${bounds.least}): ${text}`);
  }
  if (end > bounds.most) {
    throw new ScheduleError(`end of range (${end}) above maximum (${bounds.most}): ${text}`);
  }
  if (start > end) {
    throw new ScheduleError(`beginning of range (${start}) beyond end of range (${end}): ${text}`);
  }
  if (step === 0n) {
    throw new ScheduleError(`step of range should be a positive number: ${text}`);
  }
  const values = [];
  for (let value = start; value <= end; value += step) {
    values.push(Number(value));
  }
  return { values, any };
}

/** A number, or a name in any case. @param {string} text @param {Bounds} bounds */
function parseValue(text, bounds) {
  const index = bounds.names.indexOf(text.toLowerCase());
  return index < 0 ? parseNumber(text) : BigInt(bounds.least + index);
}

/** @param {string} text */
function parseNumber(text) {
  const fault = (/** @type {string} */ why) =>
    new ScheduleError(`failed to parse int from ${text}: strconv.Atoi: parsing ${JSON.stringify(text)}: ${why}`);
  if (!/^[+-]?[0-9]+$/.test(text)) {
    throw fault('invalid syntax');
  }
  const number = BigInt(text.replace(/^\+/, ''));
  if (BigInt.asIntN(64, number) !== number) {
    throw fault('value out of range');
  }
  if (number < 0n) {
    throw new ScheduleError(`negative number (${number}) not allowed: ${text}`);
  }
  return number;
}

/** Nanoseconds of each unit. @type {Record<string, bigint>} */
const UNITS = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};
const LONGEST = (1n << 63n) - 1n;

/** The whole seconds of a duration such as `1h30m`, rounded towards zero, as Go reads it. @param {string} text */
function parseSeconds(text) {
  const quoted = JSON.stringify(text);
  const invalid = () => new ScheduleError(`time: invalid duration ${quoted}`);
  const negative = text.startsWith('-');
  let rest = text.replace(/^[+-]/, '');
  if (rest === '0') {
    return 0;
  }
  if (rest === '') {
    throw invalid();
  }
  let nanos = 0n;
  while (rest !== '') {
    const [all = '', whole = '', fraction = '', unit = ''] = /^([0-9]*)(?:\.([0-9]*))?([^.0-9]*)/u.exec(rest) ?? [];
    if (whole === '' && fraction === '') {
      throw invalid();
    }
    if (unit === '') {
      throw new ScheduleError(`time: missing unit in duration ${quoted}`);
    }
    const size = Object.hasOwn(UNITS, unit) ? UNITS[unit] : undefined;
    if (size === undefined) {
      throw new ScheduleError(`time: unknown unit ${JSON.stringify(unit)} in duration ${quoted}`);
    }
    // A nanosecond is the fifteenth digit of an hour.
    const digits = fraction.slice(0, 18);
    nanos += BigInt(whole || '0') * size + (BigInt(digits || '0') * size) / 10n ** BigInt(digits.length);
    if (BigInt(whole || '0') > LONGEST || nanos > LONGEST) {
      throw invalid();
    }
    rest = rest.slice(all.length);
  }
  const seconds = Number(nanos / 1_000_000_000n);
  return negative ? -seconds : seconds;
}
