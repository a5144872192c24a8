// Objects as YAML, in the way that kubectl shows them. The server reads YAML itself, so nothing here parses it. No DOM.

/**
 * @param {unknown} value what JSON can say
 * @returns {string} ends with a newline
 */
export function emit(value) {
  const lines = block(value, '');
  return `${lines.join('\n')}\n`;
}

/**
 * The lines of a value at this indentation, the first one without it.
 * @param {unknown} value
 * @param {string} indent
 * @returns {string[]}
 */
function block(value, indent) {
  if (Array.isArray(value)) {
    if (value.length === 0) return ['[]'];
    return value.flatMap((item, i) => {
      const lines = block(item, `${indent}  `);
      return [`${i ? indent : ''}- ${lines[0]}`, ...lines.slice(1)];
    });
  }
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value).filter(([, of]) => of !== undefined);
    if (entries.length === 0) return ['{}'];
    return entries.flatMap(([key, of], i) => {
      const head = `${i ? indent : ''}${scalar(key)}:`;
      const nested = of !== null && typeof of === 'object' && Object.keys(of).length > 0;
      // A list stands at the indentation of its key, as kubectl writes it.
      if (nested) {
        const inner = Array.isArray(of) ? indent : `${indent}  `;
        const lines = block(of, inner);
        return [head, `${inner}${lines[0]}`, ...lines.slice(1)];
      }
      if (typeof of === 'string' && isBlock(of)) return [`${head} ${literal(of, `${indent}  `)}`];
      return [`${head} ${block(of, indent)[0]}`];
    });
  }
  if (typeof value === 'string') return [isBlock(value) ? literal(value, indent || '  ') : scalar(value)];
  if (typeof value === 'number' && !Number.isFinite(value)) return ['null'];
  return [String(value ?? null)];
}

/** Several lines that a literal block says as they are. @param {string} text */
function isBlock(text) {
  return text.includes('\n') && !/^[\s]/.test(text) && !/[^\x09\x0a\x20-\x7e\xa0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd]/.test(text);
}

/**
 * @param {string} text
 * @param {string} indent
 */
function literal(text, indent) {
  const ends = /\n*$/.exec(text)?.[0].length ?? 0;
  const chomp = ends === 0 ? '-' : ends === 1 ? '' : '+';
  const lines = (ends ? text.slice(0, -1) : text).split('\n');
  return `|${chomp}\n${lines.map((line) => (line ? indent + line : '')).join('\n')}`;
}

// What YAML 1.1 or 1.2 could take for something else than text.
const SPECIAL = /^(?:[-?:,[\]{}#&*!|>'"%@`~=<]|$)|^(?:null|true|false|yes|no|on|off|y|n)$|^[-+.]?[\d.]|^[-+]?\.(?:inf|nan)$|^(?:0[xo])|: |:$| #|^\s|\s$/i;

/** Plain if that is what it means, quoted if not. @param {string} text */
export function scalar(text) {
  if (/[^\x20-\x7e\xa0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd]/.test(text)) return JSON.stringify(text).replace(/[\x7f-\x9f\u2028\u2029\ufeff]/g, escape);
  if (!SPECIAL.test(text)) return text;
  return text.includes("'") || text.includes('\\') ? JSON.stringify(text) : `'${text}'`;
}

/** @param {string} c */
const escape = (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`;

/**
 * The line of a field as the server names it (`spec.template.spec.containers[0].image`) in YAML text, counted from 0. If it
 * is not there, that of the last part of the way that is; -1 if nothing is.
 * @param {string} text of block style, as people and this module write it
 * @param {string} field
 */
export function lineOf(text, field) {
  const parts = [...field.matchAll(/([^.[\]]+)|\[([^\]]*)\]/g)].map((m) => m[1] ?? m[2]);
  const lines = text.split('\n');
  let found = -1;
  let [from, to] = [0, lines.length];
  for (const part of parts) {
    const wanted = part.replace(/^["']|["']$/g, '');
    const next = step(lines, from, to, wanted, found >= 0);
    if (!next) break;
    [found, from, to] = next;
  }
  return found;
}

/**
 * Finds a key, or the item of a list, among these lines.
 * @param {string[]} lines
 * @param {number} from
 * @param {number} to
 * @param {string} wanted
 * @param {boolean} inside whether the lines begin with the rest of the line of the parent
 * @returns {[number, number, number] | null} the line, and the lines of its value
 */
function step(lines, from, to, wanted, inside) {
  const indentOf = (/** @type {string} */ line) => /^[ ]*/.exec(line)?.[0].length ?? 0;
  const isContent = (/** @type {string} */ line) => /^\s*[^\s#]/.test(line);
  const index = /^\d+$/.test(wanted) ? Number(wanted) : -1;
  let level = -1;
  let item = -1;
  for (let i = from; i < to; i++) {
    // The dash of an item counts as indentation of its first key.
    const isItem = /^\s*-(\s|$)/.test(lines[i]);
    const line = index < 0 && isItem && i === from && inside ? lines[i].replace('-', ' ') : lines[i];
    if (!isContent(line) || line.startsWith('---')) continue;
    const indent = indentOf(line);
    if (level < 0) level = indent;
    if (indent !== level) continue;
    if (index >= 0 ? isItem && ++item === index : new RegExp(`^\\s*["']?${wanted.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}["']?\\s*:`).test(line)) {
      let end = i + 1;
      while (end < to && (!isContent(lines[end]) || indentOf(lines[end]) > level || (index < 0 && indentOf(lines[end]) === level && /^\s*-(\s|$)/.test(lines[end])))) end++;
      return index >= 0 ? [i, i, end] : [i, i + 1, end];
    }
  }
  return null;
}
