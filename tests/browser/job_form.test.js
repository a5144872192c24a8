// The form of a new Job: what it makes, and where the server's complaints belong.

import assert from 'node:assert/strict';
import test from 'node:test';

import { EMPTY_FORM, faultsOf, fieldOf, line, manifest, ownFaults, shortName, words } from '../../web/lib/job_form.js';
import { emit } from '../../web/lib/yaml.js';
import { Server } from './harness/server.js';

/** @typedef {import('../../web/lib/job_form.js').Form} Form */

test('a command line is split as a shell splits it', () => {
  for (const [text, wanted] of /** @type {[string, string[]][]} */ ([
    ['', []],
    ['  pi   2000 ', ['pi', '2000']],
    [`a 'b c' "d e" f\\ g`, ['a', 'b c', 'd e', 'f g']],
    [`'' ""`, ['', '']],
    [`--x="a b"'c'd`, ['--x=a bcd']],
    [`"a\\"b" '\\' "\\n" "$HOME"`, ['a"b', '\\', '\\n', '$HOME']],
    ['a\tb\nc', ['a', 'b', 'c']],
  ])) {
    assert.deepEqual(words(text), wanted, text);
    assert.deepEqual(words(line(wanted)), wanted, line(wanted));
  }
  for (const text of [`'a`, `a "b`, 'a\\']) {
    assert.throws(() => words(text), /not closed|behind it/, text);
  }
});

test('a name for the container is made of any image', () => {
  const table = { pi: 'pi', 'tools/Pi_2:1.0': 'pi-2', 'host:5000/a/b@sha256:12': 'b', '::': '', '--x--': 'x' };
  for (const [image, name] of Object.entries(table)) {
    assert.equal(shortName(image), name, image);
  }
});

test('what is empty is left out, and a schedule makes a CronJob', () => {
  const form = { ...EMPTY_FORM, name: 'pi', image: 'pi', command: 'pi 2000' };
  const container = { name: 'pi', image: 'pi', command: ['pi', '2000'] };
  const plain = (/** @type {unknown} */ value) => JSON.parse(JSON.stringify(value));
  const spec = { template: { spec: { restartPolicy: 'Never', containers: [container] } } };
  const head = { apiVersion: 'batch/v1', metadata: { name: 'pi' } };
  assert.deepEqual(plain(manifest(form)), { ...head, kind: 'Job', spec });
  const scheduled = plain(manifest({ ...form, scheduled: true, schedule: '0 9 * * 1-5', timeZone: 'Europe/Berlin' }));
  const schedule = { schedule: '0 9 * * 1-5', timeZone: 'Europe/Berlin', jobTemplate: { spec } };
  assert.deepEqual(scheduled, { ...head, kind: 'CronJob', spec: schedule });
});

test('numbers and quotes are checked before the server is asked', () => {
  const faults = ownFaults({ ...EMPTY_FORM, completions: '1.5', parallelism: 'x', backoffLimit: '3', command: `'a` });
  assert.deepEqual([...faults.keys()].sort(), ['command', 'completions', 'parallelism']);
});

/** What each value of the form is refused for. @type {[Partial<Form>, import('../../web/lib/job_form.js').FieldName, RegExp][]} */
const REFUSED = [
  [{ name: 'A_b' }, 'name', /^a lowercase RFC 1123 subdomain must consist of .* alphanumeric character$/],
  [{ name: '' }, 'name', /./],
  [{ image: '' }, 'image', /Required value/],
  [{ env: 'A=1\n=2' }, 'env', /^line 2: /],
  [{ completions: '-1' }, 'completions', /^must be greater than or equal to 0$/],
  [{ completions: '99999999999' }, 'completions', /32-bit/],
  [{ parallelism: '-1' }, 'parallelism', /greater than/],
  [{ backoffLimit: '-1' }, 'backoffLimit', /greater than/],
  [{ activeDeadlineSeconds: '-1' }, 'activeDeadlineSeconds', /greater than/],
  [{ ttlSecondsAfterFinished: '-1' }, 'ttlSecondsAfterFinished', /greater than/],
  [{ memory: '12x' }, 'memory', /quantities must match/],
  [{ cpu: '-1' }, 'cpu', /greater than/],
  [{ fuel: 'a lot' }, 'fuel', /quantities must match/],
  [{ restartPolicy: 'Always' }, 'restartPolicy', /valid values/],
  [{ scheduled: true, schedule: '* * * * 7' }, 'schedule', /end of range \(7\) above maximum/],
  [{ scheduled: true, schedule: '@daily', timeZone: 'Europe/Nowhere' }, 'timeZone', /./],
  [{ scheduled: true, schedule: '@daily', completions: '-1' }, 'completions', /greater than/],
];

test("each complaint of the server stands at its field, and what the form makes is the server's YAML", async () => {
  const server = await Server.start();
  try {
    /** @param {Partial<Form>} change */
    const answer = async (change) => {
      const form = { ...EMPTY_FORM, name: 'pi', image: 'pi', command: 'pi 2000', ...change };
      const kind = form.scheduled ? 'cronjobs' : 'jobs';
      const response = await fetch(`${server.url}/apis/batch/v1/namespaces/default/${kind}?dryRun=All`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/yaml' },
        body: emit(manifest(form)),
      });
      return response.json();
    };
    for (const [change, field, pattern] of REFUSED) {
      const status = await answer(change);
      assert.equal(status.kind, 'Status', JSON.stringify(change));
      const faults = faultsOf({ ...status, causes: status.details?.causes ?? [] });
      assert.deepEqual([...faults.keys()], [field], `${JSON.stringify(change)}: ${JSON.stringify(status)}`);
      assert.match(faults.get(field) ?? '', pattern);
    }
    const all = {
      command: `pi 'a b' "it's" ''`,
      env: 'A=1\nEMPTY=\nURL=http://a/?b=c#d: "e"\nYES=yes\nTABS=\ta',
      completions: '5',
      parallelism: '2',
      indexed: true,
      backoffLimit: '0',
      activeDeadlineSeconds: '30',
      ttlSecondsAfterFinished: '600',
      memory: '32Mi',
      cpu: '500m',
      fuel: '1G',
      network: true,
    };
    const made = await answer(all);
    assert.equal(made.kind, 'Job', JSON.stringify(made));
    const { template, ...spec } = made.spec;
    const [container] = template.spec.containers;
    assert.deepEqual(container.command, ['pi', 'a b', "it's", '']);
    assert.deepEqual(container.env, [
      { name: 'A', value: '1' },
      { name: 'EMPTY' },
      { name: 'URL', value: 'http://a/?b=c#d: "e"' },
      { name: 'YES', value: 'yes' },
      { name: 'TABS', value: '\ta' },
    ]);
    assert.deepEqual(container.resources.limits, { memory: '32Mi', cpu: '500m', 'kiln.dev/fuel': '1G' });
    assert.equal(template.metadata.annotations['kiln.dev/network'], 'outbound');
    assert.deepEqual(
      [spec.completions, spec.parallelism, spec.completionMode, spec.backoffLimit, spec.activeDeadlineSeconds],
      [5, 2, 'Indexed', 0, 30],
    );
    assert.equal(spec.ttlSecondsAfterFinished, 600);
    assert.equal(fieldOf('spec.template.spec.volumes[0].name'), '');
  } finally {
    await server.remove();
  }
});
