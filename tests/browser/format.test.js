// Numbers, times and filters: the plain functions under the views.

import assert from 'node:assert/strict';
import test from 'node:test';

import { niceTop } from '../../web/lib/chart.js';
import { jobFilter, words } from '../../web/lib/filter.js';
import { bins, bytes, compact, count, intervals, percent, percentile, plural, quantity } from '../../web/lib/format.js';
import { recordOf } from '../../web/lib/job.js';
import { samples, sum } from '../../web/lib/metrics.js';
import { ago, duration, moment } from '../../web/lib/time.js';

test('numbers are short and do not lie', () => {
  assert.deepEqual([0, 7, 999, 1000, 12_345, 999_499, 999_500, 6_679_053_428, -1500].map(compact), [
    '0',
    '7',
    '999',
    '1 k',
    '12.3 k',
    '999 k',
    '1 M',
    '6.68 G',
    '-1.5 k',
  ]);
  assert.deepEqual([0, 512, 1024, 1_114_112, 33_554_432, 24_581_684 * 1024].map(bytes), [
    '0 B',
    '512 B',
    '1 KiB',
    '1.06 MiB',
    '32 MiB',
    '23.4 GiB',
  ]);
  assert.deepEqual(
    [count(1234567), count(NaN), plural(1, 'pod'), plural(2, 'pod'), plural(0, 'entry', 'entries')],
    ['1,234,567', '–', '1 pod', '2 pods', '0 entries'],
  );
  assert.deepEqual(
    [percent(0, 5), percent(1, 1000), percent(1, 2), percent(999, 1000), percent(5, 5), percent(1, 0)],
    ['0 %', '<1 %', '50 %', '99 %', '100 %', '–'],
  );
  assert.deepEqual([0, 0.4, 1, 3, 4.5, 6, 11, 99, 101].map(niceTop), [1, 1, 1, 4, 5, 8, 20, 100, 200]);
});

test('quantities are those of Kubernetes', () => {
  for (const [text, value] of /** @type {[string, number][]} */ ([
    ['500m', 0.5],
    ['2', 2],
    ['64Mi', 64 * 1024 ** 2],
    ['1Gi', 1024 ** 3],
    ['1k', 1000],
    ['1e3', 1000],
    ['1E', 1e18],
    ['1.5', 1.5],
    ['24581684Ki', 24581684 * 1024],
  ])) {
    assert.equal(quantity(text), value, text);
  }
  for (const none of ['', 'x', '1KiB', '1 Mi', undefined, null]) assert.ok(Number.isNaN(quantity(none)), String(none));
});

test('durations have two units at most', () => {
  for (const [ms, text] of /** @type {[number, string][]} */ ([
    [0, '0 s'],
    [0.616, '616 µs'],
    [3.94, '3.9 ms'],
    [94.2, '94 ms'],
    [999.4, '999 ms'],
    [999.6, '1 s'],
    [1500, '1.5 s'],
    [59_949, '60 s'],
    [59_950, '1 m'],
    [61_000, '1 m 1 s'],
    [3_600_000, '1 h'],
    [3_659_000, '1 h 1 m'],
    [86_400_000, '1 d'],
    [90_000_000, '1 d 1 h'],
    [-1500, '-1.5 s'],
    [NaN, '–'],
  ]))
    assert.equal(duration(ms), text, String(ms));
  assert.deepEqual(
    [0, 999, 1000, 59_999, 60_000, 7_200_000, 200_000_000, NaN].map((ms) => ago(1e12, 1e12 + ms)),
    ['now', 'now', '1 s', '59 s', '1 m', '2 h', '2 d', '–'],
  );
  assert.equal(ago(1e12 + 5000, 1e12), 'now');
});

test('moments keep their microseconds', () => {
  assert.ok(Math.abs(moment('2026-11-26T09:23:33.368126Z') - moment('2026-11-26T09:23:33.368Z') - 0.126) < 0.001);
  assert.ok(Number.isNaN(moment(undefined)) && Number.isNaN(moment('soon')));
});

test('indexes are read as Kubernetes writes them', () => {
  assert.deepEqual(intervals('0-3,5,7-7'), [
    [0, 3],
    [5, 5],
    [7, 7],
  ]);
  assert.deepEqual(intervals(''), []);
  assert.deepEqual(intervals(undefined), []);
  assert.deepEqual(intervals('x,1'), [[1, 1]]);
});

test('values fall into bins, each into one', () => {
  assert.deepEqual(bins([], 4), []);
  assert.deepEqual(bins([5, 5], 4), [{ from: 5, to: 5, count: 2 }]);
  for (const values of [
    [1, 2, 3, 4, 5],
    [0.001, 1, 1000],
    [0, 0, 10],
    Array.from({ length: 1000 }, (_, i) => i ** 3),
  ]) {
    const all = bins(values, 32);
    assert.equal(
      all.reduce((n, bin) => n + bin.count, 0),
      values.length,
    );
    all.forEach((bin, i) => assert.ok(bin.to > bin.from && (i === 0 || Math.abs(bin.from - all[i - 1].to) < 1e-6)));
  }
  assert.deepEqual([percentile([1, 2, 3, 4], 0.5), percentile([1, 2, 3, 4], 0.95), percentile([7], 0.5)], [2, 4, 7]);
  assert.ok(Number.isNaN(percentile([], 0.5)));
});

/** @param {string} name @param {any} [more] */
const job = (name, more = {}) =>
  recordOf({
    metadata: {
      uid: name,
      namespace: 'default',
      name,
      labels: { team: 'render' },
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...more.metadata,
    },
    spec: { template: { spec: { containers: [{ image: 'pi:2' }] } }, ...more.spec },
    status: more.status,
  });

test('a filter asks for words, labels and fields, and all must hold', () => {
  const failed = job('resize-1', {
    status: { conditions: [{ type: 'Failed', status: 'True', reason: 'DeadlineExceeded' }] },
  });
  const other = job('report-2', {
    metadata: {
      labels: { team: 'web', tier: '' },
      ownerReferences: [{ kind: 'CronJob', name: 'nightly', controller: true }],
    },
  });
  for (const [text, matches] of /** @type {[string, boolean[]][]} */ ([
    ['', [true, true]],
    ['resize', [true, false]],
    ['RESIZE', [true, false]],
    ['re 1', [true, false]],
    ['-resize', [false, true]],
    ['default/rep', [false, true]],
    ['team=render', [true, false]],
    ['team!=render', [false, true]],
    ['team==web', [false, true]],
    ['tier=*', [false, true]],
    ['-team=render', [false, true]],
    ['state:failed', [true, false]],
    ['reason:deadline', [true, false]],
    ['cron:nightly', [false, true]],
    ['cron:', [false, true]],
    ['-cron:', [true, false]],
    ['image:pi', [true, true]],
    ['ns:default', [true, true]],
    ['ns:other', [false, false]],
    ['state:failed resize', [true, false]],
    ['unknown:x', [false, false]],
    ['"resize"', [true, false]],
    ['-', [true, true]],
  ]))
    assert.deepEqual([failed, other].map(jobFilter(text)), matches, text);
  assert.deepEqual(words(' a  "b c" d:"e f" "g'), ['a', 'b c', 'd:e f', 'g']);
});

test('a filter is no pattern', () => {
  for (const text of ['(', '[a', '.*', '\\', '*', 'a{1000}'])
    assert.equal(jobFilter(text)(job('resize-1')), false, text);
});

test('metrics are found by their whole name', () => {
  const text =
    '# HELP kiln_pods x\nkiln_pods_running 3\nkiln_pods_running_max 9\nkiln_pods{namespace="a\\"b",phase="Failed"} 2\nkiln_pods{namespace="c",phase="Running"} 1.5e3\nother 1\n';
  const found = samples(text, ['kiln_pods', 'kiln_pods_running', 'missing']);
  assert.deepEqual(found.kiln_pods, [
    { labels: { namespace: 'a"b', phase: 'Failed' }, value: 2 },
    { labels: { namespace: 'c', phase: 'Running' }, value: 1500 },
  ]);
  assert.deepEqual([sum(found.kiln_pods_running), sum(found.missing), sum(undefined)], [3, 0, 0]);
});
