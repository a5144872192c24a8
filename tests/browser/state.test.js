// What Jobs and pods are doing, in words, from their objects.

import assert from 'node:assert/strict';
import test from 'node:test';

import { attemptsOf, delay, explainJob, timelineOf } from '../../web/lib/explain.js';
import { CELL } from '../../web/lib/grid.js';
import { durationInWords, progressOf, recordOf, stateOf, summaryOf } from '../../web/lib/job.js';
import { jobHistory } from '../../web/lib/job_history.js';
import { explain, podRecord, podState, podSummary, runOf, splitBacktrace, usageOf } from '../../web/lib/pod.js';
import { moment } from '../../web/lib/time.js';
import { PodMap } from '../../web/views/job_map.js';

const AT = '2026-01-01T00:00:00Z';
const NOW = moment(AT) + 60_000;

/** @param {any} [status] @param {any} [spec] @param {any} [metadata] */
const job = (status = {}, spec = {}, metadata = {}) => ({
  metadata: { uid: 'u', namespace: 'default', name: 'j', creationTimestamp: AT, ...metadata },
  spec: {
    completions: 5,
    parallelism: 2,
    backoffLimit: 6,
    template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'pi' }] } },
    ...spec,
  },
  status: { startTime: AT, ...status },
});
/** @param {string} type @param {string} [reason] @param {string} [message] */
const is = (type, reason = '', message = '') => ({
  type,
  status: 'True',
  reason,
  message,
  lastTransitionTime: '2026-01-01T00:00:30Z',
});

/** @param {any} status @param {any} [metadata] */
const pod = (status, metadata = {}) => ({
  metadata: { uid: metadata.name ?? 'p', namespace: 'default', name: 'j-abcde', creationTimestamp: AT, ...metadata },
  spec: { containers: [{ name: 'c' }] },
  status,
});
const ended = (exitCode = 0, reason = 'Completed', message = '') => ({
  name: 'c',
  restartCount: 0,
  state: {
    terminated: { exitCode, reason, message, startedAt: '2026-01-01T00:00:10Z', finishedAt: '2026-01-01T00:00:20Z' },
  },
});

test('a Job has one state', () => {
  for (const [status, spec, metadata, state] of /** @type {[any, any, any, string][]} */ ([
    [{}, {}, {}, 'waiting'],
    [{ active: 1 }, {}, {}, 'waiting'],
    [{ active: 1, ready: 1 }, {}, {}, 'running'],
    [{ active: 1, succeeded: 1 }, {}, {}, 'running'],
    [{ failed: 1 }, {}, {}, 'waiting'],
    [{ conditions: [is('Suspended')] }, { suspend: true }, {}, 'suspended'],
    [{ active: 1, ready: 1 }, { suspend: true }, {}, 'suspended'],
    [{ conditions: [is('SuccessCriteriaMet'), is('Complete')] }, {}, {}, 'succeeded'],
    [{ conditions: [is('FailureTarget'), is('Failed', 'DeadlineExceeded')] }, {}, {}, 'failed'],
    [{ conditions: [{ type: 'Failed', status: 'False' }], ready: 1 }, {}, {}, 'running'],
    [{ ready: 1 }, {}, { deletionTimestamp: AT }, 'deleting'],
    [{ conditions: [is('Complete')] }, {}, { deletionTimestamp: AT }, 'succeeded'],
  ]))
    assert.equal(stateOf(job(status, spec, metadata)), state, JSON.stringify([status, spec, metadata]));
});

test('a record keeps what a list shows', () => {
  const record = recordOf(
    job(
      { succeeded: 2, failed: 1, active: 2, ready: 1 },
      {},
      { ownerReferences: [{ kind: 'CronJob', name: 'nightly', controller: true }] },
    ),
  );
  assert.deepEqual(
    [record.state, progressOf(record), record.cron, summaryOf(record), durationInWords(record, NOW)],
    ['running', 0.4, 'nightly', '2 pods, 1 failed', '1 m'],
  );
  const short = recordOf(job({ completionTime: AT, conditions: [is('Complete')], succeeded: 5 }));
  assert.deepEqual([progressOf(short), durationInWords(short, NOW)], [1, '<1 s']);
  assert.equal(progressOf(recordOf(job({ succeeded: 1 }, { completions: null }))), 0.5);
  // An object with hardly anything in it is no reason to fail.
  assert.equal(recordOf({ metadata: { uid: 'x', namespace: 'a', name: 'b' } }).state, 'waiting');
});

test('samples of a Job stay few', () => {
  let record = recordOf(job({ succeeded: 0 }), undefined, 0);
  for (let i = 1; i <= 10_000; i++) record = recordOf(job({ succeeded: i }), record, i * 1000);
  assert.ok(record.samples.length <= 33 && record.samples.at(-1)?.ended === 10_000);
});

test('a pod says why it is as it is', () => {
  const usage = {
    annotations: {
      'kiln.dev/usage':
        '{"fuel":5,"peakMemoryBytes":7,"cpuMicros":1500,"wallMicros":2500,"finished":"2026-01-01T00:00:20.500000Z"}',
    },
  };
  for (const [status, metadata, state, summary] of /** @type {[any, any, string, string][]} */ ([
    [{ phase: 'Pending' }, {}, 'waiting', ''],
    [
      {
        phase: 'Pending',
        conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/1 nodes' }],
      },
      {},
      'waiting',
      'There is no room on the node',
    ],
    [
      {
        phase: 'Pending',
        containerStatuses: [{ name: 'c', state: { waiting: { reason: 'ImagePullBackOff', message: 'no module' } } }],
      },
      {},
      'waiting',
      'Its module is not there',
    ],
    [
      { phase: 'Running', containerStatuses: [{ name: 'c', state: { running: { startedAt: AT } } }] },
      {},
      'running',
      '',
    ],
    [
      {
        phase: 'Running',
        containerStatuses: [
          {
            name: 'c',
            restartCount: 1,
            state: { waiting: { reason: 'CrashLoopBackOff' } },
            lastState: { terminated: { exitCode: 3 } },
          },
        ],
      },
      {},
      'waiting',
      'CrashLoopBackOff',
    ],
    [{ phase: 'Succeeded', containerStatuses: [ended()] }, usage, 'succeeded', ''],
    [{ phase: 'Failed', containerStatuses: [ended(3, 'Error')] }, {}, 'failed', 'It ended with an error (exit code 3)'],
    [{ phase: 'Failed', containerStatuses: [ended(137, 'OOMKilled')] }, {}, 'failed', 'Out of memory (exit code 137)'],
    [
      { phase: 'Failed', reason: 'DeadlineExceeded', containerStatuses: [ended(137, 'DeadlineExceeded')] },
      {},
      'failed',
      'It took longer than its deadline allows (exit code 137)',
    ],
    [{ phase: 'Failed', reason: 'NodeRestarted' }, {}, 'failed', 'Interrupted when kiln stopped'],
    [{ phase: 'Running' }, { deletionTimestamp: AT }, 'deleting', ''],
  ])) {
    const record = podRecord(pod(status, metadata));
    assert.deepEqual(
      [podState(pod(status, metadata)), record.state, podSummary(record)],
      [state, state, summary],
      JSON.stringify(status),
    );
  }
  const over = pod({ phase: 'Succeeded', containerStatuses: [ended()] }, usage);
  assert.deepEqual(usageOf(over), {
    fuel: 5,
    memory: 7,
    cpu: 1.5,
    wall: 2.5,
    finished: moment('2026-01-01T00:00:20.500Z'),
  });
  assert.equal(runOf(over).finished - runOf(over).started, 2.5);
  for (const bad of ['', 'x', '[]', 'null', '{"fuel":"1"}'])
    assert.ok(!(Number(usageOf({ metadata: { annotations: { 'kiln.dev/usage': bad } } })?.fuel) > 0), bad);
  assert.equal(explain(pod({ phase: 'Failed', containerStatuses: [ended(1, 'Error', 'gone')] })).why, 'gone');
});

test('a backtrace is taken out of a message', () => {
  const message =
    'left by the guest\nwasm trap: wasm `unreachable` instruction executed\nwasm backtrace:\n    0:     0x33 - <unknown>!deep\n    1:     0x37 - <unknown>!middle\n';
  assert.deepEqual(splitBacktrace(message), {
    text: 'left by the guest\nwasm trap: wasm `unreachable` instruction executed',
    backtrace: ['0:     0x33 - <unknown>!deep', '1:     0x37 - <unknown>!middle'],
  });
  assert.deepEqual(splitBacktrace('no trace'), { text: 'no trace', backtrace: [] });
});

test('a Job that waits says why', () => {
  const failed = podRecord(pod({ phase: 'Failed', containerStatuses: [ended(3, 'Error')] }));
  const missing = podRecord(
    pod({
      phase: 'Pending',
      containerStatuses: [{ name: 'c', state: { waiting: { reason: 'ImagePullBackOff', message: 'push it' } } }],
    }),
  );
  const runs = podRecord(
    pod({ phase: 'Running', containerStatuses: [{ name: 'c', state: { running: { startedAt: AT } } }] }),
  );
  for (const [object, pods, title, text] of /** @type {[any, any[], RegExp, RegExp][]} */ ([
    [job({ active: 2 }), [missing], /^Waiting for its module$/, /pi has not been pushed/],
    [
      job({ failed: 1 }, {}, {}),
      [{ ...failed, finished: NOW - 4000 }],
      /^Tries again in about 6 s$/,
      /exit code 3.*1 failure, 6 are forgiven/,
    ],
    [
      job({ failed: 1 }, {}, { annotations: { 'kiln.dev/backoff': 'base=1s' } }),
      [{ ...failed, finished: NOW - 4000 }],
      /^Tries again soon$/,
      /failed/,
    ],
    [job({ conditions: [is('Suspended')] }, { suspend: true }), [], /^Suspended$/, /resumed/],
    [job({ active: 2, ready: 1, succeeded: 1 }), [runs], /^Running 2 pods$/, /1 of 5 done/],
    [job({ active: 1, ready: 1 }, { activeDeadlineSeconds: 90 }), [runs], /^Running 1 pod$/, /30 s until its deadline/],
    [
      job({ active: 1, conditions: [is('FailureTarget', 'DeadlineExceeded')] }),
      [runs],
      /^About to fail: It took longer/,
      /1 pod/,
    ],
    [
      job({ failed: 1, conditions: [is('Failed', 'BackoffLimitExceeded')] }),
      [failed],
      /^Failed: Too many of its pods failed$/,
      /ended with an error, exit code 3/,
    ],
    [
      job({ succeeded: 5, completionTime: '2026-01-01T00:00:30Z', conditions: [is('Complete')] }),
      [],
      /^Succeeded in 30 s$/,
      /5 of 5 done/,
    ],
    [job({}, { managedBy: 'example.com/x' }), [], /^Left to example.com\/x$/, /managedBy/],
    [job({}), [], /^Not started yet$/, /./],
    [job({ active: 1 }), [], /^Starting$/, /./],
    [
      job({}, {}, { deletionTimestamp: AT, finalizers: ['foregroundDeletion'] }),
      [],
      /^Being deleted$/,
      /foregroundDeletion/,
    ],
  ])) {
    const said = explainJob(object, pods, NOW);
    assert.match(said.title, title);
    assert.match(said.text, text);
  }
});

test('the delay is that of Kubernetes, or the one that the Job asks for', () => {
  assert.deepEqual(
    [1, 2, 3, 10].map((n) => delay(undefined, n)),
    [10_000, 20_000, 40_000, 600_000],
  );
  assert.deepEqual(
    [1, 2, 9].map((n) => delay('base=1s,factor=3,cap=1m', n)),
    [1000, 3000, 60_000],
  );
  assert.equal(delay('base=0,cap=0', 3), 0);
  assert.equal(delay('rubbish', 1), 10_000);
});

test('a timeline is in order and tells earlier attempts', () => {
  const attempts = JSON.stringify([
    {
      startTime: AT,
      rerunTime: '2026-01-01T00:00:10Z',
      condition: 'Failed',
      reason: 'BackoffLimitExceeded',
      succeeded: 1,
      failed: 2,
    },
  ]);
  const line = timelineOf(
    job(
      { startTime: '2026-01-01T00:00:10Z', conditions: [is('Complete')] },
      { ttlSecondsAfterFinished: 60 },
      { annotations: { 'kiln.dev/attempts': attempts } },
    ),
  );
  assert.deepEqual(
    line.map((e) => e.title),
    ['Created', 'Started', 'Run again, after it had failed', 'Succeeded', 'Will be deleted'],
  );
  assert.ok(line.every((e, i) => i === 0 || e.at >= line[i - 1].at) && line.at(-1)?.sure === false);
  assert.match(line[2].text, /Too many.*1 succeeded, 2 failed/);
  for (const bad of ['', 'x', 'null', '{}', '[null]'])
    assert.deepEqual(attemptsOf(job({}, {}, { annotations: { 'kiln.dev/attempts': bad } })), [], bad);
});

test('the past of the chart comes from the Jobs', () => {
  const at = (/** @type {number} */ s) => new Date(NOW + s * 1000).toISOString();
  const done = recordOf(
    job(
      { startTime: at(-50), completionTime: at(-20), conditions: [is('Complete')] },
      {},
      { creationTimestamp: at(-50) },
    ),
  );
  const old = recordOf(
    job(
      { startTime: at(-500), completionTime: at(-400), conditions: [is('Complete')] },
      {},
      { creationTimestamp: at(-500) },
    ),
  );
  const now = recordOf(job({ startTime: at(-10), ready: 1 }, {}, { creationTimestamp: at(-30) }));
  const points = jobHistory([done, old, now], NOW, 60_000, 6);
  assert.deepEqual(
    points.map((p) => p.running),
    [0, 1, 1, 1, 0, 1, 1],
  );
  assert.deepEqual(
    points.map((p) => p.waiting),
    [0, 0, 0, 1, 1, 0, 0],
  );
  assert.deepEqual(
    points.map((p) => p.succeeded),
    [0, 0, 0, 0, 1, 0, 0],
  );
});

test('a map of indexes knows those whose pods are gone', () => {
  const map = new PodMap(
    job({ completedIndexes: '0-1', failedIndexes: '4' }, { completionMode: 'Indexed', completions: 6 }),
  );
  const of = (/** @type {number} */ index, /** @type {string} */ phase, /** @type {string} */ name) =>
    podRecord(
      pod(
        {
          phase,
          containerStatuses:
            phase === 'Running'
              ? [{ name: 'c', state: { running: { startedAt: AT } } }]
              : [ended(phase === 'Failed' ? 1 : 0)],
        },
        { name, uid: name, labels: { 'batch.kubernetes.io/job-completion-index': String(index) } },
      ),
    );
  map.take(of(2, 'Failed', 'a'), undefined);
  map.take(of(2, 'Running', 'b'), undefined);
  map.take(of(1, 'Succeeded', 'c'), undefined);
  assert.deepEqual(
    Array.from({ length: map.size }, (_, i) => map.state(i)),
    [CELL.succeeded, CELL.succeeded, CELL.running, CELL.none, CELL.failed, CELL.none],
  );
  assert.deepEqual([map.pod(2)?.name, map.pod(0), map.pod(1)?.name], ['b', undefined, 'c']);
  assert.match(map.describe(0), /^Index 0: succeeded, its pod is not kept/);
  map.take(undefined, of(2, 'Running', 'b'));
  assert.equal(map.state(2), CELL.none);
  assert.deepEqual(
    map.tally(),
    [3, 0, 0, 2, 1, 0].map((n, i) => (i === CELL.none ? 3 : n)),
  );
});

test('a map of pods has a cell for each, for those that are gone, and for those to come', () => {
  const map = new PodMap(job({ succeeded: 3, failed: 1, active: 1 }, { completions: 6 }));
  map.take(podRecord(pod({ phase: 'Succeeded', containerStatuses: [ended()] }, { name: 'a' })), undefined);
  map.take(
    podRecord(pod({ phase: 'Running', containerStatuses: [{ name: 'c', state: { running: {} } }] }, { name: 'b' })),
    undefined,
  );
  assert.equal(map.size, 5 - 2 + 2 + 2);
  const counts = map.tally();
  assert.equal(counts[CELL.none], 2);
  assert.equal(counts[CELL.running], 1);
});
