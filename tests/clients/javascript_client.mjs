// The official JavaScript client, unmodified, against a running kiln: javascript_client.mjs CLIENT KUBECONFIG [CHECK]
//
// Each function given to check() is a use of the client that people have, from creating a Job to following its log.
// Those given to alone() run by themselves, when they are named: they need a server that is special, or somebody who
// restarts it. CLIENT is the directory of the package: versions 1 and 2 have the same interface and send their requests
// by different libraries. The examples hello and sleep must have been pushed, and infinite-loop as loop.

import assert from 'node:assert/strict';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

const [client, kubeconfig, only] = process.argv.slice(2);
const k8s = await import(pathToFileURL(path.join(client, 'dist/index.js')).href);

const CHECKS = [];
const ALONE = [];
const check = (run) => CHECKS.push(run);
const alone = (run) => ALONE.push(run);

const SOON = 60_000;
const namespace = 'default';
const config = new k8s.KubeConfig();
config.loadFromFile(kubeconfig);
const batch = config.makeApiClient(k8s.BatchV1Api);
const core = config.makeApiClient(k8s.CoreV1Api);
const objects = k8s.KubernetesObjectApi.makeApiClient(config);

const container = (image, command = [image]) => ({ name: 'c', image, command });
const template = (image, command) => ({ spec: { restartPolicy: 'Never', containers: [container(image, command)] } });

const job = (name, { image = 'hello', command, labels, ...spec } = {}) => ({
  metadata: { name, labels },
  spec: { template: template(image, command), ...spec },
});
const created = (body) => batch.createNamespacedJob({ namespace, body });
const configMap = (name, data, labels) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels }, data });
const is = (type) => (found) => (found.status?.conditions ?? []).some((c) => c.type === type && c.status === 'True');
const isComplete = is('Complete');
const names = (list) => list.items.map((item) => item.metadata.name);

/** Asks until the answer is true; says what the last one was if it never is. */
async function until(what, ask) {
  const end = Date.now() + SOON;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    assert.ok(Date.now() < end, `${what}: not within ${SOON} ms; last seen: ${JSON.stringify(answer)}`);
    await sleep(20);
  }
}

/**
 * Watches until an event is right, and answers all that were seen. What the client says at the end of a watch that
 * it has aborted itself is no fault.
 */
async function watched(resources, query, right) {
  const seen = [];
  let request;
  try {
    await new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`nothing right was seen: ${JSON.stringify(seen)}`)), SOON);
      const end = (how, error) => (clearTimeout(late), how(error));
      const told = (type, object) => {
        seen.push({ type, object });
        if (right(type, object)) end(resolve);
      };
      const done = (error) => end(reject, error ?? new Error(`the watch ended: ${JSON.stringify(seen)}`));
      request = new k8s.Watch(config).watch(resources, query, told, done);
    });
  } finally {
    (await request)?.abort();
  }
  return seen;
}

const JOBS = '/apis/batch/v1/namespaces/default/jobs';
const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';

async function completed(name) {
  const seen = await watched(JOBS, { fieldSelector: `metadata.name=${name}` }, (_, found) => isComplete(found));
  return seen.at(-1).object;
}

const podOf = (name, phase) =>
  until(`a ${phase} pod of ${name}`, async () => {
    const { items } = await core.listNamespacedPod({ namespace, labelSelector: `job-name=${name}` });
    return items.find((pod) => pod.status.phase === phase);
  });

/** The refusal of a call: the client's error, and the Status in it. */
async function refused(call) {
  const error = await call.then(
    () => assert.fail('it was not refused'),
    (error) => error,
  );
  assert.ok(error instanceof k8s.ApiException, error);
  return { code: error.code, status: typeof error.body === 'string' ? JSON.parse(error.body) : error.body };
}

const sent = (type) => k8s.setHeaderOptions('Content-Type', type);

check(async function versionsHealthAndDiscovery() {
  const version = await config.makeApiClient(k8s.VersionApi).getCode();
  assert.deepEqual([version.major, version.minor], ['1', '37']);
  const health = new k8s.Health(config);
  assert.deepEqual([await health.livez({}), await health.readyz({}), await health.healthz({})], [true, true, true]);
  const { groups } = await config.makeApiClient(k8s.ApisApi).getAPIVersions();
  assert.deepEqual(
    groups.filter((group) => group.name === 'batch').map((group) => group.preferredVersion.groupVersion),
    ['batch/v1'],
  );
  const { resources } = await batch.getAPIResources();
  for (const name of ['jobs', 'jobs/status', 'cronjobs', 'cronjobs/status']) {
    assert.ok(resources.some((resource) => resource.name === name), name);
  }
  const { versions } = await config.makeApiClient(k8s.CoreApi).getAPIVersions();
  assert.ok(versions.includes('v1'), versions);
});

check(async function createAndWatchUntilComplete() {
  const made = await created(job('watched', { completions: 3, parallelism: 2 }));
  assert.ok(made.metadata.creationTimestamp instanceof Date, 'times are dates');
  assert.deepEqual([made.spec.backoffLimit, made.spec.completionMode], [6, 'NonIndexed']);
  const { resourceVersion } = made.metadata;
  const seen = await watched(JOBS, { resourceVersion }, (_, found) => isComplete(found));
  let last = Number(resourceVersion);
  for (const { type, object } of seen.filter(({ object }) => object.metadata.name === 'watched')) {
    assert.equal(type, 'MODIFIED');
    assert.ok(Number(object.metadata.resourceVersion) > last, 'a watch goes forward');
    last = Number(object.metadata.resourceVersion);
  }
  const { status } = await batch.readNamespacedJobStatus({ name: 'watched', namespace });
  assert.equal(status.succeeded, 3);
  assert.ok(status.completionTime >= status.startTime);
  assert.equal(status.conditions.at(-1).reason, 'CompletionsReached');
});

check(async function aWatchTellsBookmarksAndItsTimeout() {
  const { metadata } = await core.listNamespacedConfigMap({ namespace });
  const seen = [];
  const ended = await new Promise((resolve, reject) => {
    const query = { resourceVersion: metadata.resourceVersion, allowWatchBookmarks: true, timeoutSeconds: 1 };
    const told = (type) => seen.push(type);
    new k8s.Watch(config).watch('/api/v1/namespaces/kube-system/configmaps', query, told, resolve).catch(reject);
  });
  assert.equal(ended, null, 'the end of a watch at its timeout is no error');
  assert.ok(seen.every((type) => type === 'BOOKMARK'), seen);
});

check(async function aWatchOfADeletion() {
  const made = await core.createNamespacedConfigMap({ namespace, body: configMap('doomed') });
  const query = { resourceVersion: made.metadata.resourceVersion, fieldSelector: 'metadata.name=doomed' };
  const watching = watched(CONFIG_MAPS, query, () => true);
  await core.deleteNamespacedConfigMap({ name: 'doomed', namespace });
  const [{ type, object }] = await watching;
  assert.deepEqual([type, object.metadata.uid], ['DELETED', made.metadata.uid]);
});

check(async function readAndFollowLogs() {
  const reader = new k8s.Log(config);
  const all = async (pod, options) => {
    const stream = new PassThrough();
    await reader.log(namespace, pod, 'c', stream, options);
    return text(stream);
  };
  await created(job('logged', { command: ['hello', 'a', 'b'] }));
  await completed('logged');
  const { name } = (await podOf('logged', 'Succeeded')).metadata;
  assert.equal(await core.readNamespacedPodLog({ name, namespace }), 'Hello, a!\nHello, b!\n');
  assert.equal(await core.readNamespacedPodLog({ name, namespace, tailLines: 1, container: 'c' }), 'Hello, b!\n');
  assert.equal(await all(name), 'Hello, a!\nHello, b!\n');
  assert.equal(await all(name, { tailLines: 1 }), 'Hello, b!\n');
  assert.equal(await all(name, { limitBytes: 5 }), 'Hello');
  const stamped = await all(name, { timestamps: true, sinceSeconds: 3600 });
  assert.match(stamped, /^20\d\d-\S+Z Hello, a!\n20\d\d-\S+Z Hello, b!\n$/);

  await created(job('followed', { image: 'sleep', command: ['sleep', '1'] }));
  const running = await podOf('followed', 'Running');
  assert.equal(await all(running.metadata.name, { follow: true }), 'sleeping for 1 s\nslept for 1 s\n');
  // This part of the client keeps no Status but of a 500; the other has its words.
  assert.equal((await refused(all('nope'))).code, 404);
  const { status } = await refused(core.readNamespacedPodLog({ name, namespace, container: 'other' }));
  assert.match(status.message, /container other is not valid for pod logged-/);
});

check(async function patchInFourWays() {
  await created(job('patched', { image: 'loop', parallelism: 1 }));
  const named = { name: 'patched', namespace };
  const patch = (body, type, more) => batch.patchNamespacedJob({ ...named, body, ...more }, sent(type));
  const strategic = await patch({ spec: { parallelism: 2 } }, k8s.PatchStrategy.StrategicMergePatch);
  assert.equal(strategic.spec.parallelism, 2);
  const add = [{ op: 'add', path: '/metadata/labels/a', value: 'b' }];
  assert.equal((await patch(add, k8s.PatchStrategy.JsonPatch)).metadata.labels.a, 'b');
  // What the client sends when it is told nothing.
  const replace = [{ op: 'replace', path: '/metadata/labels/a', value: 'c' }];
  assert.equal((await batch.patchNamespacedJob({ ...named, body: replace })).metadata.labels.a, 'c');
  const merged = await patch({ metadata: { labels: { a: null } } }, k8s.PatchStrategy.MergePatch);
  assert.equal(merged.metadata.labels.a, undefined);
  const wish = { apiVersion: 'batch/v1', kind: 'Job', spec: { parallelism: 3 } };
  const { code, status } = await refused(patch(wish, k8s.PatchStrategy.ServerSideApply, { fieldManager: 'mine' }));
  assert.deepEqual([code, status.reason, status.details.causes[0].field], [409, 'Conflict', '.spec.parallelism']);
  const applied = await patch(wish, k8s.PatchStrategy.ServerSideApply, { fieldManager: 'mine', force: true });
  assert.equal(applied.spec.parallelism, 3);
  assert.ok(applied.metadata.managedFields.some((entry) => entry.manager === 'mine' && entry.operation === 'Apply'));
  const seen = { metadata: { annotations: { seen: 'yes' } } };
  await batch.patchNamespacedJobStatus({ ...named, body: seen }, sent(k8s.PatchStrategy.MergePatch));
  assert.equal((await batch.readNamespacedJobStatus(named)).metadata.annotations.seen, 'yes');
  const dry = await patch({ spec: { parallelism: 9 } }, k8s.PatchStrategy.MergePatch, { dryRun: 'All' });
  assert.equal(dry.spec.parallelism, 9);
  assert.equal((await batch.readNamespacedJob(named)).spec.parallelism, 3);
});

check(async function replaceAndConflict() {
  const first = await core.createNamespacedConfigMap({ namespace, body: configMap('replaced', { a: '1' }) });
  first.data.a = '2';
  const second = await core.replaceNamespacedConfigMap({ name: 'replaced', namespace, body: first });
  assert.deepEqual(second.data, { a: '2' });
  const { code, status } = await refused(core.replaceNamespacedConfigMap({ name: 'replaced', namespace, body: first }));
  assert.deepEqual([code, status.reason, status.details.kind], [409, 'Conflict', 'configmaps']);
  // All that a Job has goes through the client's models and back.
  const made = await created(job('again', { suspend: true, activeDeadlineSeconds: 100 }));
  const read = () => batch.readNamespacedJob({ name: 'again', namespace });
  const body = await until('what the controller makes of it', async () => {
    const found = await read();
    return is('Suspended')(found) && found;
  });
  body.spec.suspend = false;
  const replaced = await batch.replaceNamespacedJob({ name: 'again', namespace, body });
  assert.deepEqual([replaced.metadata.uid, replaced.spec.suspend], [made.metadata.uid, false]);
  await completed('again');
});

check(async function listsInPages() {
  for (let number = 0; number < 5; number++) {
    await core.createNamespacedConfigMap({ namespace, body: configMap(`page-${number}`, {}, { set: 'pages' }) });
  }
  const pages = [];
  let _continue;
  do {
    const page = await core.listNamespacedConfigMap({ namespace, labelSelector: 'set=pages', limit: 2, _continue });
    pages.push(page);
    _continue = page.metadata._continue;
  } while (_continue);
  assert.deepEqual(pages.map((page) => page.items.length), [2, 2, 1]);
  assert.equal(pages[0].metadata.remainingItemCount, undefined, 'of a selection the rest is not counted');
  assert.deepEqual(pages.flatMap(names), [0, 1, 2, 3, 4].map((number) => `page-${number}`));
  assert.equal(new Set(pages.map((page) => page.metadata.resourceVersion)).size, 1, 'all pages show one moment');
  const { code, status } = await refused(core.listNamespacedConfigMap({ namespace, _continue: 'rubbish' }));
  assert.deepEqual([code, status.reason], [400, 'BadRequest']);
});

check(async function selectors() {
  await created(job('chosen', { labels: { tier: 'front' }, completions: 2 }));
  await completed('chosen');
  const byLabel = await batch.listJobForAllNamespaces({ labelSelector: 'tier in (front, back),tier!=back' });
  assert.deepEqual(names(byLabel), ['chosen']);
  const fieldSelector = 'status.successful=2,metadata.name!=other';
  assert.deepEqual(names(await batch.listNamespacedJob({ namespace, fieldSelector })), ['chosen']);
  const ended = { fieldSelector: 'status.phase=Succeeded', labelSelector: 'job-name=chosen' };
  assert.equal((await core.listPodForAllNamespaces(ended)).items.length, 2);
  const { code, status } = await refused(batch.listNamespacedJob({ namespace, fieldSelector: 'spec.nope=1' }));
  assert.equal(code, 400);
  assert.match(status.message, /not supported/);
});

check(async function eventsOfAJob() {
  const { uid } = (await created(job('told'))).metadata;
  await completed('told');
  const found = await until('the event of its completion', async () => {
    const { items } = await core.listNamespacedEvent({ namespace, fieldSelector: `involvedObject.uid=${uid}` });
    return items.some((event) => event.reason === 'Completed') && items;
  });
  assert.ok(found.some((event) => event.reason === 'SuccessfulCreate' && event.lastTimestamp instanceof Date));
  const inTheOtherGroup = await config.makeApiClient(k8s.EventsV1Api).listNamespacedEvent({ namespace });
  assert.ok(inTheOtherGroup.items.some((event) => event.regarding.uid === uid && event.reason === 'Completed'));
  const body = {
    metadata: { generateName: 'own-' },
    involvedObject: { apiVersion: 'batch/v1', kind: 'Job', name: 'told', namespace, uid },
    type: 'Normal',
    reason: 'Seen',
    message: 'by a client',
    firstTimestamp: new Date(),
    eventTime: new k8s.V1MicroTime(),
    action: 'See',
    reportingComponent: 'test',
    reportingInstance: 'test-1',
  };
  assert.match((await core.createNamespacedEvent({ namespace, body })).metadata.name, /^own-/);
});

check(async function deleteWithPropagation() {
  const gone = (name) =>
    until(`the end of ${name}`, async () => !names(await batch.listNamespacedJob({ namespace })).includes(name));
  const pods = async (name) => (await core.listNamespacedPod({ namespace, labelSelector: `job-name=${name}` })).items;
  for (const name of ['foreground', 'background', 'orphan']) await created(job(name, { image: 'loop' }));
  for (const name of ['foreground', 'background', 'orphan']) await podOf(name, 'Running');
  await batch.deleteNamespacedJob({ name: 'foreground', namespace, body: { propagationPolicy: 'Foreground' } });
  await gone('foreground');
  assert.deepEqual(await pods('foreground'), []);
  await batch.deleteNamespacedJob({ name: 'background', namespace, propagationPolicy: 'Background' });
  await gone('background');
  await until('the end of its pods', async () => !(await pods('background')).length);
  await batch.deleteNamespacedJob({ name: 'orphan', namespace, propagationPolicy: 'Orphan' });
  await gone('orphan');
  const [left] = await pods('orphan');
  assert.equal(left.metadata.ownerReferences, undefined);
  const { name } = left.metadata;
  await core.deleteNamespacedPod({ name, namespace, gracePeriodSeconds: 0 });
  // Many by one request, and only if it is still the same.
  for (const name of ['many-1', 'many-2']) {
    await core.createNamespacedConfigMap({ namespace, body: configMap(name, {}, { set: 'many' }) });
  }
  const preconditions = { uid: '00000000-0000-0000-0000-000000000000' };
  const other = core.deleteNamespacedConfigMap({ name: 'many-1', namespace, body: { preconditions } });
  assert.equal((await refused(other)).code, 409);
  await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector: 'set=many' });
  assert.deepEqual(names(await core.listNamespacedConfigMap({ namespace, labelSelector: 'set=many' })), []);
});

check(async function cronJobs() {
  const spec = { schedule: '@every 1s', jobTemplate: { spec: job('x').spec }, concurrencyPolicy: 'Forbid' };
  const made = await batch.createNamespacedCronJob({ namespace, body: { metadata: { name: 'tick' }, spec } });
  assert.deepEqual([made.spec.suspend, made.spec.successfulJobsHistoryLimit], [false, 3]);
  const cronJobs = '/apis/batch/v1/namespaces/default/cronjobs';
  await watched(cronJobs, {}, (_, found) => found.status?.lastSuccessfulTime);
  const named = { name: 'tick', namespace };
  await batch.patchNamespacedCronJob(
    { ...named, body: { spec: { suspend: true } } },
    sent(k8s.PatchStrategy.StrategicMergePatch),
  );
  const { items } = await batch.listNamespacedJob({ namespace });
  const owned = items.find((item) => item.metadata.name.startsWith('tick-'));
  assert.deepEqual(owned.metadata.ownerReferences.map(({ kind, name }) => [kind, name]), [['CronJob', 'tick']]);
  // By hand, as Lens, Headlamp and Backstage do it.
  const { jobTemplate } = (await batch.readNamespacedCronJob(named)).spec;
  const annotations = { 'cronjob.kubernetes.io/instantiate': 'manual' };
  await created({ metadata: { name: 'by-hand', annotations }, spec: jobTemplate.spec });
  await completed('by-hand');
  await batch.deleteNamespacedCronJob({ ...named, propagationPolicy: 'Background' });
});

check(async function configMapsAndSecrets() {
  const binaryData = { bytes: Buffer.from([0, 255, 1]).toString('base64') };
  await core.createNamespacedConfigMap({ namespace, body: { ...configMap('mapped', { a: 'ä' }), binaryData } });
  const found = await core.readNamespacedConfigMap({ name: 'mapped', namespace });
  assert.deepEqual([found.data, found.binaryData], [{ a: 'ä' }, binaryData]);
  const body = { metadata: { name: 'secret' }, stringData: { password: 'abc' }, immutable: true };
  const secret = await core.createNamespacedSecret({ namespace, body });
  assert.deepEqual([secret.data, secret.type, secret.stringData], [{ password: 'YWJj' }, 'Opaque', undefined]);
  secret.data.password = 'eHl6';
  const { code, status } = await refused(core.replaceNamespacedSecret({ name: 'secret', namespace, body: secret }));
  assert.deepEqual([code, status.details.causes[0].field], [422, 'data']);
});

check(async function otherKindsAsModels() {
  const { items } = await core.listNode();
  assert.ok(is('Ready')(items[0]), 'the node is ready');
  assert.ok((await core.readNode({ name: items[0].metadata.name })).status.nodeInfo.kubeletVersion);
  assert.equal((await core.readNamespace({ name: namespace })).status.phase, 'Active');
  const leases = await config.makeApiClient(k8s.CoordinationV1Api).listLeaseForAllNamespaces();
  // The client leaves it as it is.
  assert.match(leases.items[0].spec.renewTime, /^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  assert.ok(names(await core.listNamespacedServiceAccount({ namespace })).includes('default'));
  for (const pod of (await core.listPodForAllNamespaces()).items) {
    assert.ok(pod.status.phase && pod.spec.containers[0].image && pod.status.conditions.length);
  }
  const spec = { resourceAttributes: { verb: 'create', group: 'batch', resource: 'jobs', namespace } };
  const review = await config.makeApiClient(k8s.AuthorizationV1Api).createSelfSubjectAccessReview({ body: { spec } });
  assert.equal(review.status.allowed, true);
  const self = await config.makeApiClient(k8s.AuthenticationV1Api).createSelfSubjectReview({ body: {} });
  assert.ok(self.status.userInfo.username);
});

check(async function errorsHaveBodies() {
  const nope = await refused(batch.readNamespacedJob({ name: 'nope', namespace }));
  assert.deepEqual([nope.code, nope.status.reason, nope.status.details.name], [404, 'NotFound', 'nope']);
  assert.equal(nope.status.message, 'jobs.batch "nope" not found');
  await created(job('taken'));
  const taken = await refused(created(job('taken')));
  assert.deepEqual([taken.code, taken.status.reason], [409, 'AlreadyExists']);
  const bad = await refused(created(job('bad', { parallelism: -1, backoffLimit: -1 })));
  assert.deepEqual([bad.code, bad.status.reason], [422, 'Invalid']);
  const fields = bad.status.details.causes.map((cause) => cause.field);
  assert.deepEqual(fields.sort(), ['spec.backoffLimit', 'spec.parallelism']);
  const nowhere = await refused(batch.createNamespacedJob({ namespace: 'nowhere', body: job('x') }));
  assert.deepEqual([nowhere.code, nowhere.status.message], [404, 'namespaces "nowhere" not found']);
  const dry = await batch.createNamespacedJob({ namespace, body: job('dry'), dryRun: 'All' });
  assert.ok(dry.metadata.uid);
  assert.equal((await refused(batch.readNamespacedJob({ name: 'dry', namespace }))).code, 404);
  const module = await refused(objects.create({ apiVersion: 'kiln.dev/v1', kind: 'Module', metadata: { name: 'x' } }));
  assert.equal(module.code, 405);
  assert.match(module.status.message, /modules are not created but uploaded/);
});

check(async function anInformerSeesWhatChanges() {
  const labelSelector = 'set=informed';
  const listed = () => core.listNamespacedConfigMap({ namespace, labelSelector });
  const informer = k8s.makeInformer(config, CONFIG_MAPS, listed, labelSelector);
  const told = [];
  for (const verb of ['add', 'update', 'delete']) {
    informer.on(verb, (found) => told.push([verb, found.metadata.name, found.data?.a]));
  }
  const faults = [];
  informer.on('error', (error) => faults.push(error));
  const body = (name, a) => configMap(name, { a }, { set: 'informed' });
  const write = (name, a) => core.createNamespacedConfigMap({ namespace, body: body(name, a) });
  await write('informed-1', '1');
  await informer.start();
  await write('informed-2', '1');
  await core.createNamespacedConfigMap({ namespace, body: configMap('not-informed') });
  await core.replaceNamespacedConfigMap({ name: 'informed-1', namespace, body: body('informed-1', '2') });
  // What no longer is chosen is gone.
  const away = [{ op: 'remove', path: '/metadata/labels' }];
  await core.patchNamespacedConfigMap({ name: 'informed-1', namespace, body: away });
  await core.deleteNamespacedConfigMap({ name: 'informed-2', namespace });
  await until('all that was done', () => told.length >= 5);
  // Version 1 calls its own end one.
  assert.deepEqual(faults, []);
  await informer.stop();
  assert.deepEqual(told, [
    ['add', 'informed-1', '1'],
    ['add', 'informed-2', '1'],
    ['update', 'informed-1', '2'],
    ['delete', 'informed-1', '2'],
    ['delete', 'informed-2', '1'],
  ]);
  assert.deepEqual(informer.list(), []);
});

check(async function genericObjects() {
  const wish = { apiVersion: 'batch/v1', kind: 'Job', ...job('generic', { image: 'loop' }) };
  const header = { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'generic', namespace } };
  const made = await objects.create(wish);
  assert.equal(made.metadata.namespace, namespace, 'the namespace of the context');
  assert.ok(made.status instanceof k8s.V1JobStatus && made.metadata.creationTimestamp instanceof Date);
  const labelled = await objects.patch({ ...header, metadata: { ...header.metadata, labels: { made: 'generic' } } });
  assert.equal(labelled.metadata.labels.made, 'generic');
  const apply = { ...header, spec: { parallelism: 2 } };
  const { ServerSideApply } = k8s.PatchStrategy;
  const applied = await objects.patch(apply, undefined, undefined, 'generic', true, ServerSideApply);
  assert.equal(applied.spec.parallelism, 2);
  applied.spec.suspend = true;
  assert.equal((await objects.replace(applied)).spec.suspend, true);
  assert.equal((await objects.read(header)).metadata.uid, made.metadata.uid);
  const listed = await objects.list('batch/v1', 'Job', namespace, ...Array(4), 'made=generic');
  assert.deepEqual(names(listed), ['generic']);
  await objects.delete(header, undefined, undefined, 0, undefined, 'Background');
  assert.equal((await refused(objects.read(header))).code, 404);
  // Of a manifest, as people apply it.
  const manifest = (kind) => `apiVersion: v1\nkind: ${kind}\nmetadata: {name: of-yaml}\ndata: {a: YQ==}\n`;
  const both = `${manifest('ConfigMap')}---\n${manifest('Secret')}`;
  for (const spec of k8s.loadAllYaml(both)) await objects.create(spec);
  assert.deepEqual((await core.readNamespacedConfigMap({ name: 'of-yaml', namespace })).data, { a: 'YQ==' });
  const module = await objects.read({ apiVersion: 'kiln.dev/v1', kind: 'Module', metadata: { name: 'hello' } });
  assert.equal(module.kind, 'Module', 'a kind that the client has no model of');
  const other = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'x' } };
  const nowhere = objects.create(other);
  await assert.rejects(nowhere, /Failed to fetch resource metadata for apps\/v1\/Deployment: HTTP-Code: 404/);
});

check(async function nothingGetsIntoARunningPod() {
  await created(job('closed', { image: 'loop' }));
  const { name } = (await podOf('closed', 'Running')).metadata;
  const out = new PassThrough();
  const exec = new k8s.Exec(config).exec(namespace, name, 'c', ['ls'], out, out, null, false);
  // The client shows the code only, whatever the words.
  const error = await exec.then(() => assert.fail('it was let in'), (error) => error);
  assert.match(error.message, /Unexpected server response: 501/);
  const { code, status } = await refused(core.connectGetNamespacedPodExec({ name, namespace, command: 'ls' }));
  assert.equal(code, 501);
  assert.match(status.message, /WASI/);
});

check(async function metricsAndTop() {
  const metrics = new k8s.Metrics(config);
  const [node] = (await metrics.getNodeMetrics()).items;
  assert.match(node.usage.memory, /^[1-9]\d*Ki$/);
  await created(job('measured', { image: 'loop' }));
  const { name } = (await podOf('measured', 'Running')).metadata;
  const pod = await until('its metrics', async () => {
    const { items } = await metrics.getPodMetrics(namespace);
    return items.find((item) => item.metadata.name === name);
  });
  assert.deepEqual(pod.containers.map((one) => one.name), ['c']);
  const top = await k8s.topPods(core, metrics, namespace);
  assert.ok(top.some((one) => one.Pod.metadata.name === name && one.Containers[0].Container === 'c'), top);
  const [whole] = await k8s.topNodes(core);
  assert.ok(Number(whole.CPU.Capacity) > 0 && Number(whole.Memory.Capacity) > 0, whole);
});

alone(async function theTokenIsSent() {
  assert.ok((await core.listNamespacedPod({ namespace })).items);
  await watched('/api/v1/namespaces', {}, (type) => type === 'ADDED');
  assert.equal(await new k8s.Health(config).readyz({}), true);
  const bare = new k8s.KubeConfig();
  const { server } = config.getCurrentCluster();
  bare.loadFromClusterAndUser({ name: 'bare', server, skipTLSVerify: true }, { name: 'bare' });
  assert.equal((await refused(bare.makeApiClient(k8s.CoreV1Api).listNamespacedPod({ namespace }))).code, 401);
});

// Somebody kills the server when asked to, changes ConfigMaps on the next one, and says what there is now.
alone(async function anInformerSurvivesACrash() {
  const informer = k8s.makeInformer(config, CONFIG_MAPS, () => core.listNamespacedConfigMap({ namespace }));
  const told = new Map();
  for (const verb of ['add', 'update', 'delete']) {
    informer.on(verb, (found) => told.set(found.metadata.name, [...(told.get(found.metadata.name) ?? []), verb]));
  }
  // It stops at each error, and is to be started again: the client's own example says so.
  let faults = 0;
  informer.on('error', () => {
    faults += 1;
    setTimeout(() => informer.start(), 50);
  });
  await informer.start();
  await until('the list', () => informer.list().length === 3);
  console.log('kill it');
  const answers = createInterface(process.stdin)[Symbol.asyncIterator]();
  const there = JSON.parse((await answers.next()).value);
  const seen = () => Object.fromEntries(informer.list().map(({ metadata, data }) => [metadata.name, data.a]));
  await until(`what there is: ${JSON.stringify(there)}`, () => {
    try {
      return assert.deepEqual(seen(), there) ?? true;
    } catch {
      return false;
    }
  });
  // And goes on from there.
  await core.createNamespacedConfigMap({ namespace, body: configMap('after', { a: '1' }) });
  await until('what was made after', () => seen().after);
  await informer.stop();
  assert.deepEqual(Object.fromEntries(told), {
    kept: ['add'],
    changed: ['add', 'update'],
    deleted: ['add', 'delete'],
    made: ['add'],
    after: ['add'],
  });
  assert.ok(faults > 0, 'it was cut off');
});

const chosen = only ? ALONE.filter((run) => run.name === only) : CHECKS;
assert.ok(chosen.length, `no check is called ${only}`);
const failed = [];
for (const run of chosen) {
  const start = performance.now();
  try {
    await run();
    console.log(`${run.name}: ok in ${Math.round(performance.now() - start)} ms`);
  } catch (error) {
    // Each failure is told, not only the first.
    console.error(`${run.name}:`, error);
    failed.push(run.name);
  }
}
console.log(failed.length ? `FAILED: ${failed.join(', ')}` : `${chosen.length} checks passed`);
process.exit(failed.length ? 1 : 0);
