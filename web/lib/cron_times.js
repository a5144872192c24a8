// When a schedule comes: each minute whose local time has the right fields. As on the server, a local time that a zone
// skips never comes, one that it repeats comes twice, and a search ends after five years.

/** @typedef {import("./cron.js").Schedule} Schedule */
/** @typedef {import("./cron.js").Calendar} Calendar */

const YEARS = 5;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Formats by zone: making one takes a millisecond. @type {Map<string, Intl.DateTimeFormat>} */
const formats = new Map();

/** @param {string} zone @returns {Intl.DateTimeFormat} @throws {RangeError} for a zone that this browser does not know */
function format(zone) {
  let found = formats.get(zone);
  if (found === undefined) {
    found = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    formats.set(zone, found);
  }
  return found;
}

/** @param {string} zone */
export function isZone(zone) {
  try {
    return format(zone) !== undefined;
  } catch {
    return false;
  }
}

/** The local time of an instant as if it were UTC, in milliseconds. @param {number} instant @param {string} zone */
export function localTime(instant, zone) {
  const parts = { year: 0, month: 1, day: 1, hour: 0, minute: 0, second: 0 };
  for (const { type, value } of format(zone).formatToParts(instant)) {
    if (type in parts) {
      parts[/** @type {keyof typeof parts} */ (type)] = Number(value);
    }
  }
  return Date.UTC(parts.year, parts.month - 1, parts.day, parts.hour, parts.minute, parts.second);
}

/** By how much local time is ahead of UTC, in milliseconds. @param {number} instant @param {string} zone */
function offset(instant, zone) {
  const second = Math.floor(instant / 1000) * 1000;
  return localTime(second, zone) - second;
}

/**
 * The next times after an instant, at most `count`. A constant delay counts from `after` itself.
 *
 * @param {Schedule} schedule
 * @param {number} after milliseconds since 1970
 * @param {string} zone a name of the IANA database
 * @param {number} count
 * @returns {number[]}
 */
export function nextTimes(schedule, after, zone, count) {
  if ('every' in schedule) {
    return Array.from({ length: count }, (_, i) => after + (i + 1) * schedule.every * 1000);
  }
  const { calendar } = schedule;
  /** @type {number[]} */
  const found = [];
  const first = localTime(after, zone);
  const lastYear = new Date(first).getUTCFullYear() + YEARS;
  // A day earlier, too: where clocks are put back over midnight, a local day comes twice.
  for (let day = Math.floor(first / DAY) * DAY - DAY; found.length < count; day += DAY) {
    if (new Date(day).getUTCFullYear() > lastYear) {
      break;
    }
    if (isDay(calendar, day)) {
      found.push(
        ...timesOfDay(calendar, day, zone)
          .filter((time) => time > after)
          .slice(0, count - found.length),
      );
    }
  }
  return found;
}

/** Where both fields of days restrict, one of them suffices. @param {Calendar} calendar @param {number} day its midnight, as UTC */
function isDay({ days, months, weekdays }, day) {
  const date = new Date(day);
  const byDay = days.values.includes(date.getUTCDate());
  const byWeekday = weekdays.values.includes(date.getUTCDay());
  const right = days.any || weekdays.any ? byDay && byWeekday : byDay || byWeekday;
  return right && months.includes(date.getUTCMonth() + 1);
}

/** @param {Calendar} calendar @param {number} day @param {string} zone */
function timesOfDay({ hours, minutes }, day, zone) {
  const local = hours.flatMap((hour) => minutes.map((minute) => day + hour * HOUR + minute * MINUTE));
  // All instants of this local day lie between these, in any zone.
  const before = offset(day - 15 * HOUR, zone);
  const behind = offset(day + DAY + 13 * HOUR, zone);
  if (before === behind) {
    return local.map((time) => time - before);
  }
  const instants = local.flatMap((time) =>
    [time - before, time - behind].filter((instant) => localTime(instant, zone) === time),
  );
  return [...new Set(instants)].sort((a, b) => a - b);
}
