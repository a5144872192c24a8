// What `/metrics` says, as far as the dashboard asks: lines `name{label="value"} number`. No DOM.

/** @typedef {{labels: Record<string, string>, value: number}} Sample */

/**
 * The samples of some metrics. Others are passed over without being looked at closely.
 * @param {string} text
 * @param {string[]} names
 * @returns {Record<string, Sample[]>}
 */
export function samples(text, names) {
  /** @type {Record<string, Sample[]>} */
  const found = Object.fromEntries(names.map((name) => [name, []]));
  for (const name of names) {
    const line = new RegExp(`^${name}(?:\\{(.*)\\})? ([-+0-9.eE]+|NaN|[+-]Inf)$`, 'gm');
    for (const [, labels, value] of text.matchAll(line)) {
      found[name].push({
        labels: Object.fromEntries([...(labels ?? '').matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g)].map(([, key, v]) => [key, v.replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c))])),
        value: Number(value.replace('Inf', 'Infinity')),
      });
    }
  }
  return found;
}

/** @param {Sample[] | undefined} list */
export const sum = (list) => (list ?? []).reduce((all, { value }) => all + value, 0);
