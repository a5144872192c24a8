// A schedule in words: "every weekday at 09:00".

import { DAYS, HOURS, MONTHS } from './cron.js';

/** @typedef {import("./cron.js").Schedule} Schedule */
/** @typedef {import("./cron.js").Calendar} Calendar */
/** @typedef {import("./cron.js").Bounds} Bounds */

const WEEKDAY_NAMES = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
// prettier-ignore
const MONTH_NAMES = [
  "January", "February", "March", "April", "May", "June",
  "July", "August", "September", "October", "November", "December",
];

/** The most days that each month can have. */
const MOST_DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** @param {Schedule} schedule */
export function scheduleInWords(schedule) {
  if ('every' in schedule) {
    return `every ${delay(schedule.every)}`;
  }
  const { minutes, hours } = schedule.calendar;
  if (never(schedule.calendar)) {
    return 'never';
  }
  const when = time(minutes, hours);
  const on = dates(schedule.calendar);
  if (/^at \d\d:/.test(when)) {
    return `${on} ${when}`;
  }
  return on === 'every day' ? when : `${when}, ${on}`;
}

/** @param {Calendar} calendar */
function never({ minutes, hours, days, months, weekdays }) {
  if (minutes.length === 0 || hours.length === 0 || months.length === 0) {
    return true;
  }
  const someDay = realDays(days.values, months).length > 0;
  const someWeekday = weekdays.values.length > 0;
  return days.any || weekdays.any ? !(someDay && someWeekday) : !(someDay || someWeekday);
}

/** The days that one of the months can have. @param {number[]} days @param {number[]} months */
function realDays(days, months) {
  return days.filter((day) => months.some((month) => day <= (MOST_DAYS[month - 1] ?? 0)));
}

/** @param {number} seconds */
function delay(seconds) {
  /** @type {[string, number][]} */
  const units = [
    ['hour', Math.floor(seconds / 3600)],
    ['minute', Math.floor(seconds / 60) % 60],
    ['second', seconds % 60],
  ];
  const parts = units.filter(([, count]) => count > 0);
  const [only] = parts;
  if (parts.length === 1 && only?.[1] === 1) {
    return only[0];
  }
  return list(parts.map(([unit, count]) => `${count} ${unit}${count === 1 ? '' : 's'}`));
}

/** @param {string[]} words */
function list(words) {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

/** @param {number} number */
const two = (number) => String(number).padStart(2, '0');
/** @param {number} hour @param {number} minute */
const clock = (hour, minute) => `${two(hour)}:${two(minute)}`;
/** @param {number[]} values @param {Bounds} bounds */
const all = (values, bounds) => values.length === bounds.most - bounds.least + 1;
/** The first, which is there. @param {number[]} values */
const first = (values) => /** @type {number} */ (values[0]);
/** @param {number[]} values */
const last = (values) => /** @type {number} */ (values.at(-1));
/** @param {number[]} values */
const contiguous = (values) => last(values) - first(values) === values.length - 1;

/** The step of values that come round evenly, such as 15 of 0, 15, 30, 45; 0 of others. @param {number[]} values @param {number} round */
function even(values, round) {
  const step = round / values.length;
  return values.length > 1 && values.every((value, i) => value === first(values) + i * step) ? step : 0;
}

/** @param {number} step @param {string} unit */
const everyFew = (step, unit) => (step === 1 ? `every ${unit}` : `every ${step} ${unit}s`);

/** @param {number} count */
const minutesPast = (count) => `${count} minute${count === 1 ? '' : 's'} past`;

/** At what times of a day. @param {number[]} minutes @param {number[]} hours */
function time(minutes, hours) {
  return minutes.length === 1 ? oncePerHour(first(minutes), hours) : oftenPerHour(minutes, hours);
}

/** @param {number} minute @param {number[]} hours */
function oncePerHour(minute, hours) {
  const [from, to] = [clock(first(hours), minute), clock(last(hours), minute)];
  if (all(hours, HOURS)) {
    return minute === 0 ? 'every hour' : `at ${minutesPast(minute)} every hour`;
  }
  const step = even(hours, 24);
  if (hours.length > 2 && step > 0) {
    return from === '00:00' ? everyFew(step, 'hour') : `${everyFew(step, 'hour')} from ${from}`;
  }
  if (hours.length > 3 && contiguous(hours)) {
    return `every hour from ${from} to ${to}`;
  }
  return `at ${list(hours.map((hour) => clock(hour, minute)))}`;
}

/** @param {number[]} minutes @param {number[]} hours */
function oftenPerHour(minutes, hours) {
  const step = even(minutes, 60);
  const [from, to] = [first(minutes), last(minutes)];
  if (step > 0 && from === 0) {
    const often = everyFew(step, 'minute');
    if (all(hours, HOURS)) {
      return often;
    }
    return contiguous(hours)
      ? `${often} from ${clock(first(hours), 0)} to ${clock(last(hours), to)}`
      : `${often} in ${ofHours(hours)}`;
  }
  if (step > 0 && minutes.length > 2) {
    return `${everyFew(step, 'minute')} from ${minutesPast(from)} ${ofHours(hours)}`;
  }
  if (minutes.length > 2 && contiguous(minutes)) {
    return `every minute from ${from} to ${to} past ${ofHours(hours)}`;
  }
  return `at ${list(minutes.map(String))} minutes past ${ofHours(hours)}`;
}

/** @param {number[]} hours */
function ofHours(hours) {
  if (all(hours, HOURS)) {
    return 'every hour';
  }
  if (hours.length === 1) {
    return clock(first(hours), 0);
  }
  return hours.length > 2 && contiguous(hours)
    ? `the hours ${two(first(hours))} to ${two(last(hours))}`
    : `the hours ${list(hours.map(two))}`;
}

/** Which days. @param {Calendar} calendar */
function dates({ days, months, weekdays }) {
  const oneSuffices = !days.any && !weekdays.any;
  const someDays = realDays(days.values, months);
  const anyDay = all(days.values, DAYS);
  const anyWeekday = weekdays.values.length === 7;
  const inMonths = all(months, MONTHS) ? '' : ` ${monthsInWords(months)}`;
  if (oneSuffices ? anyDay || anyWeekday : anyDay && anyWeekday) {
    return `every day${inMonths}`;
  }
  const onWeekdays = anyWeekday || weekdays.values.length === 0 ? '' : weekdaysInWords(weekdays.values);
  if (anyDay || someDays.length === 0) {
    return onWeekdays + inMonths;
  }
  const onDays = daysInWords(someDays);
  if (onWeekdays === '' && months.length === 1) {
    return someDays.length === 1
      ? `every year on ${first(someDays)} ${month(first(months))}`
      : `on the ${onDays} of ${month(first(months))}`;
  }
  const either = onWeekdays === '' ? '' : ` and ${onWeekdays}`;
  return inMonths === ''
    ? `on the ${onDays} of every month${either}`
    : `on the ${onDays} of the month${either},${inMonths}`;
}

/** @param {number[]} values */
function weekdaysInWords(values) {
  if (values.join() === '1,2,3,4,5') {
    return 'every weekday';
  }
  const name = (/** @type {number} */ day) => WEEKDAY_NAMES[day] ?? '';
  if (values.length > 2 && contiguous(values)) {
    return `${name(first(values))} to ${name(last(values))}`;
  }
  // Sunday comes last in a list, as in a calendar.
  const week = [...values].sort((a, b) => ((a + 6) % 7) - ((b + 6) % 7));
  return `every ${list(week.map(name))}`;
}

/** @param {number} number */
function month(number) {
  return MONTH_NAMES[number - 1] ?? '';
}

/** @param {number[]} values */
function monthsInWords(values) {
  return values.length > 2 && contiguous(values)
    ? `from ${month(first(values))} to ${month(last(values))}`
    : `in ${list(values.map(month))}`;
}

/** @param {number[]} values */
function daysInWords(values) {
  return values.length > 2 && contiguous(values)
    ? `${nth(first(values))} to ${nth(last(values))}`
    : list(values.map(nth));
}

/** @param {number} day */
function nth(day) {
  const teen = day % 100 >= 11 && day % 100 <= 13;
  return `${day}${teen ? 'th' : (['th', 'st', 'nd', 'rd'][day % 10] ?? 'th')}`;
}
