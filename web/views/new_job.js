// A new Job, or CronJob: a module is uploaded or named, a form is filled, and the YAML that it makes stands beside it. The
// YAML can be edited or pasted; from then on it is what counts. The server checks each state of it (dryRun=All).

import { ApiError, pathOf, write } from '../lib/api.js';
import { parseSchedule, ScheduleError } from '../lib/cron.js';
import { isZone, nextTimes } from '../lib/cron_times.js';
import { scheduleInWords } from '../lib/cron_words.js';
import { fill, h, newId, set, text } from '../lib/dom.js';
import { bytes } from '../lib/format.js';
import { faultsOf, manifest, ownFaults, shortName } from '../lib/job_form.js';
import { means, moduleRecord, needs, reference, shortDigest } from '../lib/module.js';
import { toast } from '../lib/overlay.js';
import { destination } from '../lib/manifest.js';
import { serverNow } from '../lib/time.js';
import { badge, button, card, facts } from '../lib/ui.js';
import { Informer } from '../lib/watch.js';
import { emit } from '../lib/yaml.js';
import { cronHref, jobHref } from './index.js';
import { JobForm } from './new_job_form.js';
import { acceptDrops, uploadZone } from './new_job_upload.js';
import { inZone } from './schedule.js';

/** @typedef {import('../lib/job_form.js').Faults} Faults */
/** @typedef {import('../lib/module.js').ModuleRecord} ModuleRecord */

/** How long after the last key the server is asked, in milliseconds. */
const QUIET = 350;

/** @param {import('./index.js').Context} context */
export function show({ root, query, namespace, signal, title }) {
  title('New Job');
  const home = namespace || 'default';
  /** @type {Informer<ModuleRecord>} */
  const modules = new Informer({ path: '/apis/kiln.dev/v1/modules', reduce: moduleRecord });
  signal.addEventListener('abort', () => modules.stop());

  const zones = h('datalist', { id: newId('zones') }, Intl.supportedValuesOf('timeZone').map((zone) => h('option', { value: zone })));
  const scheduleWords = h('span', {});
  const form = new JobForm(zones, scheduleWords, () => changed());
  const known = h('datalist', { id: 'known-modules' });
  const program = h('div', { class: 'stack small-gap' });

  const yaml = h('textarea', { class: 'code', spellcheck: 'false', autocapitalize: 'off', 'aria-label': 'YAML', 'aria-describedby': 'yaml-verdict', rows: 24 });
  const verdict = h('div', { class: 'verdict', id: 'yaml-verdict', role: 'status' });
  const complaints = h('ul', { class: 'complaints', hidden: true });
  const back = button('Back to the form', () => leaveYaml(), { kind: 'small', title: 'Discards what was changed in the YAML' });
  const run = button('Run', () => submit(), { kind: 'primary', icon: 'play' });
  /** Whether the YAML was edited, so that the form does not count any more. */
  let isText = false;
  /** What is wrong now, as far as it is known. @type {Faults} */
  let faults = new Map();
  /** Each question has a number, so that late answers are known as such. */
  let asked = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  const zone = uploadZone(() => modules.records.values(), (found) => form.suggest(suggestion(reference(found))), signal);
  acceptDrops(root, (file) => {
    if (/\.(ya?ml|json)$/i.test(file.name)) void file.text().then(editYaml);
    else void zone.take(file);
  });

  fill(
    root,
    h('div', { class: 'head' }, h('div', { class: 'grow' }, h('h1', {}, 'New Job'), h('p', { class: 'muted' }, 'In the namespace ', h('strong', {}, home)))),
    h(
      'div',
      { class: 'new-job' },
      h('div', { class: 'stack' }, zone.element, form.element, known),
      h(
        'div',
        { class: 'stack beside' },
        card('YAML', back, yaml, verdict, complaints, h('div', { class: 'actions' }, run)),
        program,
      ),
    ),
  );
  back.hidden = true;

  /** What a module's name suggests for the other fields. @param {string} image */
  function suggestion(image) {
    const short = shortName(image);
    return { image, name: short, command: short };
  }

  function changed() {
    const value = form.value;
    if (form.touched.has('image')) {
      const short = shortName(value.image);
      form.put('name', short, false);
      form.put('command', short, false);
    }
    describeSchedule(form.value, scheduleWords);
    if (!isText) yaml.value = emit(manifest(form.value, home === 'default' ? undefined : home));
    showProgram();
    // Nothing is asked about a form in which nobody has written.
    if (form.touched.size > 0 || form.value.image !== '') ask();
    else judge(new Map([['image', '']]), false);
  }

  function showProgram() {
    const image = form.value.image.trim();
    const module = [...modules.records.values()].find((record) => means(image, record));
    fill(program, image !== '' && !isText && (module ? moduleFacts(module) : modules.isComplete && missing(image)));
  }

  /** @param {string} content */
  function editYaml(content) {
    yaml.value = content;
    becomeText();
    ask();
  }

  function becomeText() {
    if (isText) return;
    isText = true;
    back.hidden = false;
    form.enable(false);
    form.show(new Map(), true);
    showProgram();
  }

  function leaveYaml() {
    isText = false;
    back.hidden = true;
    form.enable(true);
    changed();
  }

  yaml.addEventListener('input', () => {
    becomeText();
    ask();
  });

  function ask() {
    clearTimeout(timer);
    asked += 1;
    timer = setTimeout(() => void check(false), QUIET);
  }

  /** Lets the server look at it, and with `real` take it. @param {boolean} real @returns {Promise<any>} the object, if it is accepted */
  async function check(real) {
    clearTimeout(timer);
    const number = ++asked;
    const own = isText ? new Map() : ownFaults(form.value);
    const content = yaml.value;
    if (content.trim() === '') return judge(new Map([['', 'there is nothing to run']]), real);
    if (own.size > 0) return judge(own, real);
    if (!real) tell('none', 'Checking');
    try {
      const { plural, namespace: into } = destination(content, home);
      const made = await write('POST', pathOf(plural, into), content, { signal, query: { dryRun: real ? undefined : 'All', fieldValidation: 'Strict' } });
      if (number === asked || real) judge(new Map(), real);
      return made;
    } catch (error) {
      if (signal.aborted || (number !== asked && !real)) return undefined;
      judge(error instanceof ApiError ? faultsOf(error) : new Map([['', String(error)]]), real);
      return undefined;
    }
  }

  /** @param {Faults} found @param {boolean} all whether somebody wants to run it, so that everything is shown */
  function judge(found, all) {
    faults = found;
    if (!isText) form.show(found, all);
    const hidden = isText ? [...found] : [...found].filter(([field]) => field === '');
    fill(complaints, hidden.map(([field, said]) => h('li', {}, field === '' ? said : `${field}: ${said}`)));
    complaints.hidden = hidden.length === 0;
    if (found.size === 0) return tell('succeeded', 'kiln would accept this');
    const isFresh = !isText && !all && [...found.keys()].every((field) => field !== '' && !form.touched.has(field));
    tell(isFresh ? 'none' : 'failed', isFresh ? 'Not complete yet' : found.size === 1 ? 'One thing to put right' : `${found.size} things to put right`);
  }

  /** @param {string} state @param {string} words */
  function tell(state, words) {
    const shown = verdict.firstElementChild;
    if (shown instanceof HTMLElement && shown.dataset.state === state && shown.textContent === words) return;
    fill(verdict, badge(state, words));
  }

  async function submit() {
    run.disabled = true;
    const made = await check(true);
    run.disabled = false;
    if (signal.aborted) return;
    if (!made) return form.focusFault(faults);
    const { name, namespace: into = 'default' } = made.metadata;
    toast(`${made.kind} ${name} was created`, 'succeeded');
    location.hash = made.kind === 'CronJob' ? cronHref(into, name) : jobHref(into, name);
  }

  modules.subscribe(() => {
    fill(known, [...modules.records.values()].map((module) => h('option', { value: reference(module) })));
    showProgram();
  }, signal);

  if (query.get('schedule')) form.put('scheduled', true, true);
  const wanted = query.get('module');
  if (wanted) form.suggest(suggestion(wanted));
  else changed();
}

/** @param {string} image */
function missing(image) {
  return h('div', { class: 'notice', 'data-state': 'waiting' }, h('p', {}, 'No module ', h('code', {}, image), ' has been uploaded. Its pods would wait until one is.'));
}

/** @param {ModuleRecord} module */
function moduleFacts(module) {
  return card(
    `Module ${reference(module)}`,
    null,
    facts([
      ['Kind', module.kind],
      ['Size', bytes(module.size)],
      ['Digest', h('code', { title: module.digest }, shortDigest(module.digest))],
      ['Compiled in', Number.isNaN(module.compileSeconds) ? '' : `${module.compileSeconds} s`],
      ['Makes use of', needs(module.imports).join(', ') || 'nothing of the host'],
      ['Imports', h('details', {}, h('summary', {}, String(module.imports.length)), h('ul', { class: 'imports' }, module.imports.map((name) => h('li', {}, name))))],
    ]),
  );
}

/** @param {import('../lib/job_form.js').Form} form @param {HTMLElement} element */
function describeSchedule({ scheduled, schedule, timeZone }, element) {
  const wanted = schedule.trim();
  if (!scheduled || wanted === '') return text(element, 'Minute, hour, day of the month, month, day of the week; or @daily');
  try {
    const parsed = parseSchedule(wanted);
    const zone = timeZone.trim();
    const words = scheduleInWords(parsed) + (zone === '' ? '' : `, ${zone}`);
    const next = zone !== '' && isZone(zone) ? nextTimes(parsed, serverNow(), zone, 1)[0] : undefined;
    text(element, next === undefined ? words : `${words}; next ${inZone(next, zone)}`);
    set(element, { 'data-good': 'true' });
  } catch (error) {
    if (!(error instanceof ScheduleError)) throw error;
    text(element, error.message);
  }
}
