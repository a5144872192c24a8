// What a form says of a Job, or of a CronJob if it has a schedule, and the other way round: which field of the form a
// complaint of the server is about. No DOM.

/**
 * Everything as it was typed; what is empty is left out of the object.
 * @typedef {object} Form
 * @property {string} name
 * @property {string} image
 * @property {string} command one line, words in quotes as in a shell
 * @property {string} env lines of NAME=value
 * @property {string} completions
 * @property {string} parallelism
 * @property {boolean} indexed
 * @property {string} backoffLimit
 * @property {string} activeDeadlineSeconds
 * @property {string} ttlSecondsAfterFinished
 * @property {string} restartPolicy
 * @property {string} memory
 * @property {string} cpu
 * @property {string} fuel
 * @property {boolean} network
 * @property {boolean} scheduled
 * @property {string} schedule
 * @property {string} timeZone
 * @property {string} concurrencyPolicy
 */

/** @type {Form} */
export const EMPTY_FORM = {
  name: '',
  image: '',
  command: '',
  env: '',
  completions: '',
  parallelism: '',
  indexed: false,
  backoffLimit: '',
  activeDeadlineSeconds: '',
  ttlSecondsAfterFinished: '',
  restartPolicy: 'Never',
  memory: '',
  cpu: '',
  fuel: '',
  network: false,
  scheduled: false,
  schedule: '',
  timeZone: '',
  concurrencyPolicy: 'Allow',
};

/** @typedef {keyof Form} FieldName */
/** What is wrong, by field; `""` for what is about no field. @typedef {Map<FieldName | '', string>} Faults */

/** A line that is no shell's line: the quote that is not closed. */
export class WordsError extends Error {}

/**
 * Words as a shell splits them: quotes of both kinds, and a backslash before a character. Nothing is expanded.
 * @param {string} line
 * @returns {string[]}
 */
export function words(line) {
  const found = [];
  for (let rest = line.trimStart(); rest !== ''; rest = rest.trimStart()) {
    let word = '';
    for (;;) {
      const [part = ''] = /^(?:'[^']*'|"(?:[^"\\]|\\[^])*"|\\[^]|[^\s'"\\])/.exec(rest) ?? [];
      if (part === '') {
        break;
      }
      word += unquoted(part);
      rest = rest.slice(part.length);
    }
    if (rest !== '' && !/^\s/.test(rest)) {
      throw new WordsError(
        rest.startsWith('\\') ? 'a backslash needs something behind it' : `a quote ${rest[0]} is not closed`,
      );
    }
    found.push(word);
  }
  return found;
}

/** @param {string} part */
function unquoted(part) {
  switch (part[0]) {
    case "'":
      return part.slice(1, -1);
    case '"':
      return part.slice(1, -1).replaceAll(/\\(["\\$`])/g, '$1');
    case '\\':
      return part.slice(1);
    default:
      return part;
  }
}

/** The other way: a line that {@link words} splits into these. @param {string[]} list */
export function line(list) {
  return list.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ');
}

/**
 * @param {string} text
 * @returns {{ name: string, value: string }[]}
 */
export function variables(text) {
  return text
    .split('\n')
    .filter((entry) => entry.trim() !== '')
    .map((entry) => {
      const at = entry.indexOf('=');
      return at < 0
        ? { name: entry.trim(), value: '' }
        : { name: entry.slice(0, at).trim(), value: entry.slice(at + 1) };
    });
}

const NUMBERS = /** @type {const} */ ([
  'completions',
  'parallelism',
  'backoffLimit',
  'activeDeadlineSeconds',
  'ttlSecondsAfterFinished',
]);

/** What can be told without the server. @param {Form} form @returns {Faults} */
export function ownFaults(form) {
  /** @type {Faults} */
  const faults = new Map();
  try {
    words(form.command);
  } catch (error) {
    faults.set('command', /** @type {Error} */ (error).message);
  }
  for (const name of NUMBERS) {
    if (form[name] !== '' && !/^-?\d{1,15}$/.test(form[name])) {
      faults.set(name, 'a whole number');
    }
  }
  return faults;
}

/** @param {string} text */
const number = (text) => (/^-?\d{1,15}$/.test(text) ? Number(text) : undefined);
/** @param {string} text */
const given = (text) => (text.trim() === '' ? undefined : text.trim());

/** @param {Form} form without {@link ownFaults} @param {string} [namespace] */
export function manifest(form, namespace) {
  const metadata = { name: form.name.trim(), namespace };
  const job = jobSpec(form);
  if (!form.scheduled) {
    return { apiVersion: 'batch/v1', kind: 'Job', metadata, spec: job };
  }
  const spec = {
    schedule: form.schedule.trim(),
    timeZone: given(form.timeZone),
    concurrencyPolicy: form.concurrencyPolicy === 'Allow' ? undefined : form.concurrencyPolicy,
    jobTemplate: { spec: job },
  };
  return { apiVersion: 'batch/v1', kind: 'CronJob', metadata, spec };
}

/** @param {Form} form */
function jobSpec(form) {
  const env = variables(form.env);
  const command = ownFaults(form).has('command') ? [] : words(form.command);
  const limits = { memory: given(form.memory), cpu: given(form.cpu), 'kiln.dev/fuel': given(form.fuel) };
  const hasLimits = Object.values(limits).some((limit) => limit !== undefined);
  const image = form.image.trim();
  return {
    completions: number(form.completions),
    parallelism: number(form.parallelism),
    completionMode: form.indexed ? 'Indexed' : undefined,
    backoffLimit: number(form.backoffLimit),
    activeDeadlineSeconds: number(form.activeDeadlineSeconds),
    ttlSecondsAfterFinished: number(form.ttlSecondsAfterFinished),
    template: {
      metadata: form.network ? { annotations: { 'kiln.dev/network': 'outbound' } } : undefined,
      spec: {
        restartPolicy: form.restartPolicy,
        containers: [
          {
            name: containerName(image),
            image,
            command: command.length > 0 ? command : undefined,
            env: env.length > 0 ? env : undefined,
            resources: hasLimits ? { limits } : undefined,
          },
        ],
      },
    },
  };
}

/** The last part of an image's name, as far as a label may say it. @param {string} image */
export function shortName(image) {
  const [path = ''] = image.split('@');
  const last = path.split('/').at(-1)?.split(':')[0] ?? '';
  return last
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 50);
}

/** @param {string} image */
const containerName = (image) => shortName(image) || 'main';

const CONTAINER = 'spec.template.spec.containers[0]';
/** Where in a Job each field of the form goes. @type {[string, FieldName][]} */
const PLACES = [
  ['metadata.name', 'name'],
  ['metadata.generateName', 'name'],
  ['spec.schedule', 'schedule'],
  ['spec.timeZone', 'timeZone'],
  ['spec.concurrencyPolicy', 'concurrencyPolicy'],
  ['spec.completions', 'completions'],
  ['spec.parallelism', 'parallelism'],
  ['spec.completionMode', 'indexed'],
  ['spec.backoffLimit', 'backoffLimit'],
  ['spec.activeDeadlineSeconds', 'activeDeadlineSeconds'],
  ['spec.ttlSecondsAfterFinished', 'ttlSecondsAfterFinished'],
  ['spec.template.spec.restartPolicy', 'restartPolicy'],
  ['spec.template.metadata.annotations', 'network'],
  [`${CONTAINER}.image`, 'image'],
  [`${CONTAINER}.command`, 'command'],
  [`${CONTAINER}.args`, 'command'],
  [`${CONTAINER}.env`, 'env'],
  [`${CONTAINER}.resources.limits[cpu]`, 'cpu'],
  [`${CONTAINER}.resources.limits[memory]`, 'memory'],
  [`${CONTAINER}.resources.limits[kiln.dev/fuel]`, 'fuel'],
];

/**
 * The field of the form that a path of the object belongs to; `""` if there is none.
 * @param {string} path such as `spec.template.spec.containers[0].env[1].name`
 * @returns {FieldName | ''}
 */
export function fieldOf(path) {
  const place = path.replace(/^spec\.jobTemplate\./, '');
  const found = PLACES.find(
    ([start]) => place === start || place.startsWith(`${start}.`) || place.startsWith(`${start}[`),
  );
  return found?.[1] ?? '';
}

/** A refusal by the server. @typedef {{ reason: string, message: string, causes: { field?: string, message?: string }[] }} Refusal */

/**
 * The server's complaints by field.
 * @param {Refusal} refusal
 * @returns {Faults}
 */
export function faultsOf({ reason, message, causes }) {
  /** @type {Faults} */
  const faults = new Map();
  if (reason === 'AlreadyExists') {
    return faults.set('name', 'exists already');
  }
  for (const { field: path = '', message: said = '' } of causes.length > 0 ? causes : decoding(message)) {
    const field = fieldOf(path);
    const before = faults.get(field);
    const text = toRead(path, said);
    const all = field === '' && path !== '' ? `${path}: ${text}` : text;
    faults.set(field, before === undefined || before === all ? all : `${before}; ${all}`);
  }
  return faults.size > 0 ? faults : faults.set('', message);
}

/** The place that a refusal names that has no causes: what could not be read at all. @param {string} message */
function decoding(message) {
  const [, field, said] = /cannot be handled as a \w+: ((?:spec|metadata)\.[^:]+): (.*)$/s.exec(message) ?? [];
  return field === undefined ? [] : [{ field, message: said }];
}

/** Without the value, which stands in the field, and without regular expressions. @param {string} path @param {string} said */
function toRead(path, said) {
  const index = /\.env\[(\d+)\]/.exec(path)?.[1];
  const short = said
    .replace(/^(?:Invalid|Unsupported) value: (?:"(?:[^"\\]|\\.)*"|[^ ]*): /, '')
    .replace(/,? ?\(?(?:e\.g\. '[^']*', )?regex used for validation is '.*?'\)$/, '');
  return index === undefined ? short : `line ${Number(index) + 1}: ${short}`;
}
