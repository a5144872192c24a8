// Numbers as people read them. No DOM, no clock.

const grouped = new Intl.NumberFormat('en-US');

/** `12,345` @param {number} n */
export const count = (n) => (Number.isFinite(n) ? grouped.format(n) : '–');

/**
 * `1 pod`, `2 pods`
 * @param {number} n
 * @param {string} one
 * @param {string} [many]
 */
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/**
 * Three significant digits and a unit of thousands: `1.23 G`.
 * @param {number} n
 */
export function compact(n) {
  if (!Number.isFinite(n)) return '–';
  const units = ['', ' k', ' M', ' G', ' T', ' P', ' E'];
  let unit = 0;
  let left = Math.abs(n);
  while (left >= 999.5 && unit < units.length - 1) {
    left /= 1000;
    unit++;
  }
  return `${n < 0 ? '-' : ''}${digits(left)}${units[unit]}`;
}

/** `1.5 MiB` @param {number} n */
export function bytes(n) {
  if (!Number.isFinite(n)) return '–';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let unit = 0;
  while (n >= 1023.5 && unit < units.length - 1) {
    n /= 1024;
    unit++;
  }
  return `${unit === 0 ? Math.round(n) : digits(n)} ${units[unit]}`;
}

/** At most three significant digits, without zeros at the end. @param {number} n */
export function digits(n) {
  if (n >= 100) return String(Math.round(n));
  return String(Number(n.toPrecision(3)));
}

/**
 * A share in per cent; never 100 before it is all, and never 0 once it is something.
 * @param {number} part
 * @param {number} whole
 */
export function percent(part, whole) {
  if (!(whole > 0)) return '–';
  const p = (part / whole) * 100;
  if (part >= whole) return '100 %';
  if (p > 99) return '99 %';
  if (part > 0 && p < 1) return '<1 %';
  return `${Math.round(p)} %`;
}

/**
 * A Kubernetes quantity (`500m`, `64Mi`, `1e3`) as a number; NaN if it is none.
 * @param {string | number | undefined | null} text
 */
export function quantity(text) {
  const found = /^([+-]?[0-9.]+)(?:([eE][+-]?\d+)|([num]|k|[MGTPE]|[KMGTPE]i)?)$/.exec(String(text ?? '').trim());
  if (!found) return NaN;
  const [, number, exponent, suffix] = found;
  if (exponent) return Number(number + exponent);
  /** @type {Record<string, number>} */
  const decimal = { n: 1e-9, u: 1e-6, m: 1e-3, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15, E: 1e18 };
  if (!suffix) return Number(number);
  if (suffix.endsWith('i')) return Number(number) * 1024 ** ('KMGTPE'.indexOf(suffix[0]) + 1);
  return Number(number) * decimal[suffix];
}

/**
 * The value below which `share` of the sorted values lie.
 * @param {ArrayLike<number>} sorted
 * @param {number} share between 0 and 1
 */
export function percentile(sorted, share) {
  if (sorted.length === 0) return NaN;
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))];
}

/**
 * Counts values into bins of equal width on a scale of powers, or of equal width where all lie close together.
 * @param {ArrayLike<number>} sorted ascending
 * @param {number} most bins
 * @returns {{from: number, to: number, count: number}[]}
 */
export function bins(sorted, most) {
  const n = sorted.length;
  if (n === 0) return [];
  const [low, high] = [sorted[0], sorted[n - 1]];
  if (low === high) return [{ from: low, to: high, count: n }];
  const logarithmic = low > 0 && high / low > 20;
  const [a, b] = logarithmic ? [Math.log(low), Math.log(high)] : [low, high];
  const edge = (/** @type {number} */ i) => {
    const at = a + ((b - a) * i) / most;
    return logarithmic ? Math.exp(at) : at;
  };
  const all = Array.from({ length: most }, (_, i) => ({ from: edge(i), to: edge(i + 1), count: 0 }));
  let bin = 0;
  for (let i = 0; i < n; i++) {
    while (bin < most - 1 && sorted[i] >= all[bin].to) bin++;
    all[bin].count++;
  }
  return all;
}

/**
 * Indexes as Kubernetes writes them, `0-3,5`: pairs of the first and the last, both included.
 * @param {string | undefined | null} text
 * @returns {[number, number][]}
 */
export function intervals(text) {
  const found = [];
  for (const part of (text ?? '').split(',')) {
    const match = /^\s*(\d+)(?:-(\d+))?\s*$/.exec(part);
    if (match) found.push(/** @type {[number, number]} */ ([Number(match[1]), Number(match[2] ?? match[1])]));
  }
  return found;
}
