// Objects as YAML, read again by the server itself, and the lines of fields.

import assert from 'node:assert/strict';
import test from 'node:test';

import { emit, lineOf, scalar } from '../../web/lib/yaml.js';

test('objects look as kubectl shows them', () => {
  const job = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'pi', labels: {}, annotations: { 'kiln.dev/rerun': 'rerun-all:2' } },
    spec: {
      suspend: false,
      template: {
        spec: { containers: [{ name: 'c', image: 'pi:1.0', command: ['pi', '2000'], args: [] }, { name: 'd' }] },
      },
    },
    status: null,
  };
  assert.equal(
    emit(job),
    `apiVersion: batch/v1
kind: Job
metadata:
  name: pi
  labels: {}
  annotations:
    kiln.dev/rerun: rerun-all:2
spec:
  suspend: false
  template:
    spec:
      containers:
      - name: c
        image: pi:1.0
        command:
        - pi
        - '2000'
        args: []
      - name: d
status: null
`,
  );
});

test('what could be taken for something else is quoted', () => {
  for (const text of [
    '',
    ' ',
    'true',
    'No',
    'null',
    '~',
    '1',
    '-1',
    '0x1f',
    '1e3',
    '.5',
    '.inf',
    '2026-01-01',
    '- a',
    'a: b',
    'a #b',
    '#a',
    '{a',
    '[a',
    '*a',
    '&a',
    '!a',
    '|',
    '>',
    '%a',
    '@a',
    '`a',
    "'a'",
    '"a"',
    'a:',
    ' a',
    'a ',
    '?',
    '-',
    '=',
    '<<',
    'y',
    'n',
    'on',
  ]) {
    assert.ok(/^['"]/.test(scalar(text)), text);
  }
  for (const text of [
    'a',
    'a-b',
    'a:b',
    'a/b',
    'pi:latest',
    'a b',
    'a#b',
    'ünï',
    'sha256:ab',
    'Never',
    'None',
    'kiln.dev/x',
    'x=y',
  ])
    assert.equal(scalar(text), text);
});

test('several lines are a block, and what a block cannot say is quoted', () => {
  assert.equal(
    emit({ a: 'x\ny\n', b: 'x\ny', c: 'x\n\n', d: [{ e: 'x\n  y\n' }] }),
    'a: |\n  x\n  y\nb: |-\n  x\n  y\nc: |+\n  x\n\nd:\n- e: |\n    x\n      y\n',
  );
  for (const text of [' x\ny', '\n', '\tx\n', 'x\r\ny', 'a\u0000b\nc', 'a\u2028\nb', '\u{1f600}\n'])
    assert.ok(emit({ a: text }).startsWith('a: "'), JSON.stringify(text));
});

const TEXT = `# a comment
apiVersion: batch/v1
kind: Job
metadata:
  name: "x"
  labels:
    'app.kubernetes.io/name': y
spec:
  completions: 3

  template:
    metadata: {}
    spec:
      restartPolicy: Never
      containers:
      - name: a
        image: pi
        env:
        - name: A
          value: "1"
        - name: B
      - image: other
        name: b
      initContainers:
        - name: i
          command: ["x"]
`;

test('a field is found by the name that the server gives it', () => {
  for (const [field, line] of /** @type {[string, number][]} */ ([
    ['kind', 2],
    ['metadata.name', 4],
    ['metadata.labels', 5],
    ['spec.completions', 8],
    ['spec.template.spec.restartPolicy', 13],
    ['spec.template.spec.containers', 14],
    ['spec.template.spec.containers[0]', 15],
    ['spec.template.spec.containers[0].name', 15],
    ['spec.template.spec.containers[0].image', 16],
    ['spec.template.spec.containers[0].env[1].name', 20],
    ['spec.template.spec.containers[0].env[0].value', 19],
    ['spec.template.spec.containers[1].name', 22],
    ['spec.template.spec.containers[1].image', 21],
    ['spec.template.spec.initContainers[0].command', 25],
    // What is not there leads to where it belongs.
    ['spec.template.spec.containers[1].resources.limits', 21],
    ['spec.parallelism', 7],
    ['spec.template.spec.containers[5].name', 14],
    ['nothing', -1],
    ['', -1],
  ]))
    assert.equal(lineOf(TEXT, field), line, field);
});
