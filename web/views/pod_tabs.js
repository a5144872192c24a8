// Two tabs of a pod: its log, and what it used and was made of.

import { fill, h } from '../lib/dom.js';
import { bytes, compact, percent, quantity } from '../lib/format.js';
import { LogView } from '../lib/log_view.js';
import { runOf, statuses, usageOf } from '../lib/pod.js';
import { duration, moment, serverNow, when } from '../lib/time.js';
import { card, facts } from '../lib/ui.js';
import { labels } from './job_overview.js';

/**
 * @template R
 * @typedef {import('../lib/watch.js').Informer<R>} Informer
 */

/**
 * @param {HTMLElement} panel
 * @param {() => any} pod
 * @param {Informer<any>} informer
 * @param {AbortSignal} signal
 */
export function logTab(panel, pod, informer, signal) {
  const chooser = h('select', { 'aria-label': 'Container and run', onchange: () => open() });
  const view = new LogView(chooser, signal);
  panel.classList.add('grow-down');
  signal.addEventListener('abort', () => panel.classList.remove('grow-down'));
  fill(panel, view.element);
  let told = '';
  const offer = () => {
    const options = statuses(pod()).flatMap((c) => [
      [`${c.name}|`, c.name],
      ...(c.restartCount > 0 ? [[`${c.name}|previous`, `${c.name}, the run before`]] : []),
    ]);
    if (options.length === 0)
      options.push(...(pod().spec.containers ?? []).map((/** @type {any} */ c) => [`${c.name}|`, c.name]));
    const key = JSON.stringify(options);
    if (key === told) return;
    told = key;
    const before = chooser.value;
    fill(
      chooser,
      options.map(([value, label]) => h('option', { value }, label)),
    );
    const main = `${pod().spec.containers?.[0]?.name}|`;
    chooser.value = options.some(([value]) => value === before)
      ? before
      : options.some(([value]) => value === main)
        ? main
        : (options[0]?.[0] ?? '');
    chooser.hidden = options.length < 2;
    open();
  };
  const open = () => {
    const [container, previous] = chooser.value.split('|');
    const status = statuses(pod()).find((c) => c.name === container);
    const isOver = previous === 'previous' || Boolean(status?.state?.terminated);
    const { namespace, name } = pod().metadata;
    // A container that is started again writes another log.
    const run = status?.restartCount ?? 0;
    view.open({ namespace, pod: name, container, previous: previous === 'previous', run }, isOver);
  };
  informer.subscribe(() => (offer(), open()), signal);
  offer();
}

/**
 * @param {HTMLElement} panel
 * @param {() => any} pod
 * @param {Informer<any>} informer
 * @param {AbortSignal} signal
 */
export function detailsTab(panel, pod, informer, signal) {
  let told = '';
  const draw = () => {
    if (told === pod().metadata.resourceVersion) return;
    told = pod().metadata.resourceVersion;
    const { metadata, spec, status = {} } = pod();
    const usage = usageOf(pod());
    const { started, finished } = runOf(pod());
    const now = serverNow();
    const specs = [...(spec.initContainers ?? []), ...(spec.containers ?? [])];
    const limit = quantity(spec.containers?.[0]?.resources?.limits?.memory);
    const fuelLimit = quantity(spec.containers?.[0]?.resources?.limits?.['kiln.dev/fuel']);
    const of = (/** @type {number} */ part, /** @type {number} */ whole) =>
      Number.isFinite(whole) && specs.length === 1 ? ` (${percent(part, whole)} of its limit)` : '';
    fill(
      panel,
      h(
        'div',
        { class: 'columns' },
        card(
          'What it used',
          null,
          usage
            ? facts([
                ['Fuel', `${compact(usage.fuel)}${of(usage.fuel, fuelLimit)}`],
                ['Most memory', `${bytes(usage.memory)}${of(usage.memory, limit)}`],
                ['Computing', duration(usage.cpu)],
                ['Time in all', duration(usage.wall)],
                ['Share of it computing', percent(usage.cpu, usage.wall)],
                ['Fuel per second', usage.cpu > 0 ? compact(usage.fuel / (usage.cpu / 1000)) : ''],
              ])
            : h('p', { class: 'muted' }, 'It is told when the pod has ended.'),
        ),
        card(
          'Details',
          null,
          facts([
            ['Node', spec.nodeName],
            ['Created', when(moment(metadata.creationTimestamp), now)],
            ['Started', when(started, now)],
            ['Ended', Number.isFinite(finished) && when(finished, now)],
            ['Restart policy', spec.restartPolicy],
            ['QoS', status.qosClass],
            ['UID', h('span', { class: 'mono small' }, metadata.uid)],
          ]),
          labels('Labels', metadata.labels),
        ),
      ),
      specs.map((c) => {
        const now = statuses(pod()).find((s) => s.name === c.name);
        const end = now?.state?.terminated ?? now?.lastState?.terminated;
        return card(
          `Container ${c.name}`,
          null,
          facts([
            ['Module', h('span', { class: 'mono' }, c.image)],
            ['Digest', now?.imageID && h('span', { class: 'mono small' }, now.imageID)],
            ['Command', h('span', { class: 'mono' }, [...(c.command ?? []), ...(c.args ?? [])].join(' '))],
            ['State', Object.keys(now?.state ?? {})[0] ?? 'none'],
            ['Exit code', end && String(end.exitCode)],
            ['Reason', end?.reason],
            ['Restarts', String(now?.restartCount ?? 0)],
            [
              'Limits',
              Object.entries(c.resources?.limits ?? {})
                .map(([k, v]) => `${k} ${v}`)
                .join(', '),
            ],
            [
              'Requests',
              Object.entries(c.resources?.requests ?? {})
                .map(([k, v]) => `${k} ${v}`)
                .join(', '),
            ],
            [
              'Environment',
              (c.env ?? [])
                .map((/** @type {any} */ e) =>
                  e.valueFrom ? `${e.name} (from elsewhere)` : `${e.name}=${e.value ?? ''}`,
                )
                .join(', '),
            ],
            [
              'Volumes',
              (c.volumeMounts ?? [])
                .map((/** @type {any} */ m) => `${m.mountPath} (${m.name}${m.readOnly ? ', read-only' : ''})`)
                .join(', '),
            ],
          ]),
          end?.message && h('pre', { class: 'block', tabIndex: 0, 'aria-label': 'Message' }, end.message),
        );
      }),
    );
  };
  informer.subscribe(draw, signal);
  draw();
}
