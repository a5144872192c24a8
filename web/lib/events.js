// Events of an object, or of all: as records, and as a list.

import { pathOf } from './api.js';
import { fill, h, text } from './dom.js';
import { count } from './format.js';
import { ago, exactly, moment, serverNow } from './time.js';
import { empty, stateIcon } from './ui.js';
import { Informer } from './watch.js';

/** @typedef {{uid: string, type: string, reason: string, message: string, kind: string, namespace: string, name: string, at: number, first: number, count: number, from: string, haystack: string}} EventRecord */

/** @param {any} event @returns {EventRecord} */
export function eventRecord(event) {
  const about = event.involvedObject ?? {};
  const at = moment(event.series?.lastObservedTime ?? event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp);
  return {
    uid: event.metadata.uid, type: event.type ?? 'Normal', reason: event.reason ?? '', message: event.message ?? '', kind: about.kind ?? '', namespace: about.namespace ?? event.metadata.namespace ?? '',
    name: about.name ?? '', at, first: moment(event.firstTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp), count: event.series?.count ?? event.count ?? 1,
    from: event.reportingComponent || event.source?.component || '', haystack: `${about.kind} ${about.namespace}/${about.name} ${event.reason} ${event.message}`.toLowerCase(),
  };
}

/**
 * @param {string} namespace
 * @param {string} [fieldSelector]
 * @returns {Informer<EventRecord>}
 */
export const eventsOf = (namespace, fieldSelector) => new Informer({ path: pathOf('events', namespace), query: { fieldSelector }, reduce: eventRecord });

const SHOWN = 300;

/**
 * A list that follows what happens, the newest first.
 * @param {HTMLElement} parent
 * @param {string} namespace
 * @param {string} uid of the object
 * @param {AbortSignal} signal
 */
export function eventList(parent, namespace, uid, signal) {
  const informer = eventsOf(namespace, `involvedObject.uid=${uid}`);
  signal.addEventListener('abort', () => informer.stop());
  const list = h('ol', { class: 'event-list live' });
  const more = h('p', { class: 'muted small' });
  const card = h('section', { class: 'card flush', 'aria-label': 'Events' }, list, more);
  parent.append(card);
  const draw = () => {
    const all = [...informer.records.values()].sort((a, b) => b.at - a.at || b.first - a.first);
    const now = serverNow();
    if (all.length === 0) return fill(list, h('li', {}, empty(informer.isComplete ? 'No events' : 'Loading…', informer.isComplete && h('p', {}, 'Events are kept for an hour.'))));
    fill(list, all.slice(0, SHOWN).map((e) => h('li', {},
      h('span', { class: 'badge', 'data-state': e.type === 'Warning' ? 'failed' : 'none' }, stateIcon(e.type === 'Warning' ? 'failed' : 'none')),
      h('div', { class: 'grow' }, h('strong', {}, e.reason), e.count > 1 && h('span', { class: 'muted' }, ` ×${count(e.count)}`), h('p', { class: 'message' }, e.message)),
      h('time', { class: 'muted small', title: exactly(e.at), datetime: exactly(e.at) }, ago(e.at, now)))));
    text(more, all.length > SHOWN ? `and ${count(all.length - SHOWN)} older ones` : '');
    more.hidden = all.length <= SHOWN;
  };
  informer.subscribe(draw, signal);
  const clock = setInterval(draw, 5000);
  signal.addEventListener('abort', () => clearInterval(clock));
  draw();
}
