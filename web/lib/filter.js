// The text by which lists are filtered: words of the name, `key=value` of labels, and `state:`, `ns:`, `cron:`,
// `reason:`, `image:`. All must hold; a `-` before one turns it round. No DOM.

/** @typedef {import('./job.js').JobRecord} JobRecord */
/** @typedef {{test: (job: JobRecord) => boolean, not: boolean}} Term */

/** What can stand before a colon, and whom it asks. @type {Record<string, (job: JobRecord) => string>} */
const FIELDS = {
  state: (job) => job.state,
  ns: (job) => job.namespace,
  namespace: (job) => job.namespace,
  cron: (job) => job.cron,
  reason: (job) => job.reason,
  image: (job) => job.image,
  name: (job) => job.name,
};

/**
 * @param {string} text
 * @returns {(job: JobRecord) => boolean}
 */
export function jobFilter(text) {
  const terms = words(text).map(term);
  return (job) => terms.every(({ test, not }) => test(job) !== not);
}

/** Parts between blanks; quotes keep blanks. @param {string} text */
export function words(text) {
  return [...text.matchAll(/(?:[^\s"]|"[^"]*"?)+/g)].map((m) => m[0].replaceAll('"', ''));
}

/** @param {string} word @returns {Term} */
function term(word) {
  const not = word.length > 1 && (word[0] === '-' || word[0] === '!');
  const text = not ? word.slice(1) : word;
  const field = /^([a-z]+):(.*)$/.exec(text);
  if (field && FIELDS[field[1]]) {
    const [of, wanted] = [FIELDS[field[1]], field[2].toLowerCase()];
    return { not, test: (job) => (wanted === '' ? of(job) !== '' : of(job).toLowerCase().includes(wanted)) };
  }
  const label = /^([^=!\s]+)(!=|==?)(.*)$/.exec(text);
  if (label) {
    const [, key, operator, value] = label;
    const equal = (/** @type {JobRecord} */ job) => value === '*' || value === '' ? key in job.labels : job.labels[key] === value;
    return { not, test: (job) => equal(job) !== (operator === '!=') };
  }
  const wanted = text.toLowerCase();
  return { not, test: (job) => job.haystack.includes(wanted) };
}
