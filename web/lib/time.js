// Times. Moments are milliseconds since 1970, as of the server's clock where `serverNow` is used; no DOM.

let skew = 0;

/**
 * Learns from a `Date` header how far this machine's clock is off. Whole seconds only, so small differences are none.
 * @param {string | null} header
 * @param {number} now
 */
export function learnServerTime(header, now) {
  const at = header ? Date.parse(header) : NaN;
  if (Number.isNaN(at)) return;
  const off = at + 500 - now;
  skew = Math.abs(off) < 3000 ? 0 : off;
}

/** Now, by the server's clock. */
export const serverNow = () => Date.now() + skew;

/**
 * A moment of RFC 3339 as milliseconds, with fractions where there are any; NaN if it is none.
 * @param {string | null | undefined} text
 */
export function moment(text) {
  if (!text) return NaN;
  const at = Date.parse(text);
  const fraction = /\.\d{3}(\d+)/.exec(text);
  return fraction ? at + Number(`0.${fraction[1]}`) : at;
}

/**
 * How long something takes, in at most two units: `850 µs`, `12.3 ms`, `4.2 s`, `3 m 12 s`, `2 h 5 m`, `3 d 4 h`.
 * @param {number} ms
 * @returns {string}
 */
export function duration(ms) {
  if (!Number.isFinite(ms)) return '–';
  if (ms < 0) return `-${duration(-ms)}`;
  if (ms === 0) return '0 s';
  if (ms < 0.9995) return `${round(ms * 1000)} µs`;
  if (ms < 999.5) return `${round(ms)} ms`;
  if (ms < 59_950) return `${round(ms / 1000)} s`;
  const s = Math.round(ms / 1000);
  if (s < 3600) return two(Math.floor(s / 60), 'm', s % 60, 's');
  const m = Math.round(s / 60);
  if (m < 24 * 60) return two(Math.floor(m / 60), 'h', m % 60, 'm');
  const hours = Math.round(m / 60);
  return two(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

/** @param {number} n */
function round(n) {
  return n < 10 ? String(Number(n.toFixed(1))) : String(Math.round(n));
}

/** @type {(a: number, x: string, b: number, y: string) => string} */
const two = (a, x, b, y) => (b ? `${a} ${x} ${b} ${y}` : `${a} ${x}`);

/**
 * How long ago, in one unit: `just now`, `42 s`, `5 m`, `3 h`, `2 d`.
 * @param {number} at
 * @param {number} now
 */
export function ago(at, now) {
  const s = Math.floor((now - at) / 1000);
  if (!Number.isFinite(s)) return '–';
  if (s < 1) return 'now';
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} m`;
  if (s < 48 * 3600) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86_400)} d`;
}

const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const dayOfYear = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });

/** `14:03:07` in the reader's own time. @param {number} at */
export function clockTime(at) {
  if (!Number.isFinite(at)) return '–';
  const d = new Date(at);
  return [d.getHours(), d.getMinutes(), d.getSeconds()].map((n) => String(n).padStart(2, '0')).join(':');
}

/**
 * `14:03:07` today, `3 Feb, 14:03:07` on another day, with the year in another year.
 * @param {number} at
 * @param {number} now
 */
export function when(at, now) {
  if (!Number.isFinite(at)) return '–';
  const [a, b] = [new Date(at), new Date(now)];
  if (a.toDateString() === b.toDateString()) return clockTime(at);
  const date = a.getFullYear() === b.getFullYear() ? day : dayOfYear;
  return `${date.format(a)}, ${clockTime(at)}`;
}

/** In full, for a title. @param {number} at */
export const exactly = (at) => (Number.isFinite(at) ? new Date(at).toISOString() : '');
