// The fields of a new Job, and what was typed into them.

import { h } from '../lib/dom.js';
import { checkbox, field, input, numberInput, select } from '../lib/fields.js';
import { EMPTY_FORM } from '../lib/job_form.js';
import { card } from '../lib/ui.js';

/** @typedef {import('../lib/job_form.js').Form} Form */
/** @typedef {import('../lib/job_form.js').FieldName} FieldName */
/** @typedef {import('../lib/job_form.js').Faults} Faults */
/** @typedef {import('../lib/fields.js').Field} Field */

const RESTARTS = /** @type {[string, string][]} */ ([
  ['Never', 'New pod (Never)'],
  ['OnFailure', 'Same pod (OnFailure)'],
]);
const CONCURRENCY = /** @type {[string, string][]} */ ([
  ['Allow', 'Start another beside it (Allow)'],
  ['Forbid', 'Wait until it has ended (Forbid)'],
  ['Replace', 'Delete it for the new one (Replace)'],
]);

export class JobForm {
  /** @type {Map<FieldName, Field>} */
  #fields = new Map();
  /** The fields that somebody has been in. @type {Set<FieldName>} */
  touched = new Set();
  #schedule = h('div', { class: 'field-grid', hidden: true });
  /** @type {() => void} */
  #changed;

  /**
   * @param {Node} zones a datalist of time zones
   * @param {HTMLElement} words where the schedule stands in words
   * @param {() => void} changed
   */
  constructor(zones, words, changed) {
    this.#changed = changed;
    const f = this.#add.bind(this);
    this.#schedule.append(
      f('schedule', field('Schedule', input({ placeholder: '0 9 * * 1-5', class: 'mono' }), words)).element,
      f('timeZone', field('Time zone', input({ placeholder: "the server's own", list: zones instanceof Element ? zones.id : null }))).element,
      f('concurrencyPolicy', field('If the one before still runs', select(CONCURRENCY))).element,
      zones,
    );
    this.element = h(
      'div',
      { class: 'stack' },
      card(
        'Program',
        null,
        h(
          'div',
          { class: 'field-grid' },
          f('image', field('Module', input({ class: 'mono', placeholder: 'pi', list: 'known-modules' }), 'As it was uploaded: NAME, NAME:TAG or NAME@sha256:…')).element,
          f('name', field('Name of the Job', input({ placeholder: 'pi' }))).element,
          f('command', field('Command line', input({ class: 'mono', placeholder: 'pi 2000' }), 'The first word is what the program is called')).element,
          f('env', field('Environment', h('textarea', { class: 'mono', rows: 2, spellcheck: 'false', placeholder: 'GREETING=Good morning' }), 'One NAME=value per line')).element,
        ),
      ),
      card(
        'Runs',
        null,
        h(
          'div',
          { class: 'field-grid few' },
          f('completions', field('Completions', numberInput({ placeholder: '1' }), 'How many pods must succeed')).element,
          f('parallelism', field('Parallelism', numberInput({ placeholder: '1' }), 'How many at a time')).element,
          f('backoffLimit', field('Retries', numberInput({ placeholder: '6' }), 'Failures until the Job fails')).element,
          f('restartPolicy', field('When it fails', select(RESTARTS))).element,
        ),
        f('indexed', field('Indexed: each pod has a number of its own, in JOB_COMPLETION_INDEX', checkbox())).element,
      ),
      card(
        'Limits',
        null,
        h(
          'div',
          { class: 'field-grid few' },
          f('activeDeadlineSeconds', field('Deadline', numberInput({ placeholder: 'none' }), 'Seconds for the whole Job')).element,
          f('memory', field('Memory', input({ placeholder: 'as the node gives' }), 'Such as 64Mi')).element,
          f('fuel', field('Fuel', input({ placeholder: 'by the deadline' }), 'Instructions, such as 10G')).element,
          f('cpu', field('CPU', input({ placeholder: 'one core' }), 'Such as 500m')).element,
          f('ttlSecondsAfterFinished', field('Kept for', numberInput({ placeholder: 'ever' }), 'Seconds after its end')).element,
        ),
        f('network', field('May reach the network, to the addresses that the node allows', checkbox())).element,
      ),
      card('When', null, f('scheduled', field('On a schedule, as a CronJob', checkbox())).element, this.#schedule),
    );
  }

  /** @param {FieldName} name @param {Field} made */
  #add(name, made) {
    this.#fields.set(name, made);
    const { control } = made;
    if (control instanceof HTMLInputElement && control.type === 'checkbox') control.checked = Boolean(EMPTY_FORM[name]);
    else control.value = String(EMPTY_FORM[name]);
    control.name = name;
    control.addEventListener('input', () => {
      this.touched.add(name);
      this.#follow();
      this.#changed();
    });
    return made;
  }

  #follow() {
    this.#schedule.hidden = !this.value.scheduled;
  }

  /** @returns {Form} */
  get value() {
    const entries = [...this.#fields].map(([name, { control }]) => [name, control instanceof HTMLInputElement && control.type === 'checkbox' ? control.checked : control.value]);
    return { ...EMPTY_FORM, ...Object.fromEntries(entries) };
  }

  /** Fills in fields that nobody has touched. @param {Partial<Form>} suggested */
  suggest(suggested) {
    for (const [name, value] of Object.entries(suggested)) {
      this.put(/** @type {FieldName} */ (name), value, false);
    }
    this.#changed();
  }

  /** @param {FieldName} name @param {string | boolean} value @param {boolean} always also if somebody has typed something */
  put(name, value, always) {
    const made = this.#fields.get(name);
    if (!made || (!always && this.touched.has(name))) return;
    if (typeof value === 'boolean') /** @type {HTMLInputElement} */ (made.control).checked = value;
    else made.control.value = value;
    this.#follow();
  }

  /** @param {Faults} faults @param {boolean} all also of fields in which nobody has been */
  show(faults, all) {
    for (const [name, made] of this.#fields) {
      made.setFault(all || this.touched.has(name) ? (faults.get(name) ?? '') : '');
    }
  }

  /** Goes to the first field with a fault. @param {Faults} faults */
  focusFault(faults) {
    for (const [name, made] of this.#fields) {
      if (faults.has(name)) return made.control.focus();
    }
  }

  /** Whether anything can be typed. @param {boolean} on */
  enable(on) {
    for (const { control } of this.#fields.values()) control.disabled = !on;
  }
}
