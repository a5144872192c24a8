// Colours that can be read. No DOM.

/** The sixteen colours of a terminal as grounds, where the theme's own would not do. */
const GROUNDS = ['#3b414d', '#b3202a', '#146c37', '#8a5a00', '#1b56b8', '#8b2b9c', '#0c6573', '#c9d0da', '#626b7a', '#ff8a8f', '#7ddba1', '#f5cf7d', '#9cc4ff', '#ecb4f6', '#86e1ee', '#ffffff'];

/** As `#rrggbb`. @param {string} colour a number of the sixteen, or `#rrggbb` */
export const ground = (colour) => (colour.startsWith('#') ? colour : GROUNDS[Number(colour)] ?? '#3b414d');

/** @param {string} hex */
const channels = (hex) => [1, 3, 5].map((i) => Number.parseInt(hex.slice(i, i + 2), 16));

/** Relative luminance (WCAG 2). @param {string} hex */
function luminance(hex) {
  const [r, g, b] = channels(hex).map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** From 1 to 21. @param {string} a @param {string} b */
export function contrast(a, b) {
  const [x, y] = [luminance(a), luminance(b)].sort((m, n) => n - m);
  return (x + 0.05) / (y + 0.05);
}

/** @type {Map<string, string>} */
const known = new Map();

/**
 * The colour, or as little lighter or darker as is needed to read it on that ground (4.5 to 1).
 * @param {string} colour
 * @param {string} on
 */
export function readable(colour, on) {
  const key = colour + on;
  const found = known.get(key);
  if (found) return found;
  const towards = contrast('#ffffff', on) > contrast('#000000', on) ? 255 : 0;
  let now = colour;
  for (let step = 1; contrast(now, on) < 4.55 && step <= 10; step++) {
    now = `#${channels(colour).map((c) => Math.round(c + ((towards - c) * step) / 10).toString(16).padStart(2, '0')).join('')}`;
  }
  if (known.size > 2000) known.clear();
  known.set(key, now);
  return now;
}
