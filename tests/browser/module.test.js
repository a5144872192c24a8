// Modules and images.

import assert from 'node:assert/strict';
import test from 'node:test';

import { importGroups, means, moduleRecord, nameForFile, needs, parseImage, reference } from '../../web/lib/module.js';

test('an image is taken apart as the server does it', () => {
  for (const [image, name, tag, digest] of [
    ['pi', 'pi', 'latest', ''],
    ['pi:1.0', 'pi', '1.0', ''],
    ['tools/pi', 'tools/pi', 'latest', ''],
    ['host:5000/a/pi', 'host:5000/a/pi', 'latest', ''],
    ['host:5000/a/pi:2', 'host:5000/a/pi', '2', ''],
    ['pi@sha256:12', 'pi', '', 'sha256:12'],
    ['pi:1.0@sha256:12', 'pi', '1.0', 'sha256:12'],
  ]) {
    assert.deepEqual(parseImage(image ?? ''), { name, tag, digest }, image);
  }
});

test('a module knows the images that mean it', () => {
  const module = moduleRecord({
    metadata: { name: 'pi', uid: 'u' },
    spec: { name: 'pi', tag: 'latest', digest: 'sha256:12' },
  });
  assert.equal(reference(module), 'pi');
  assert.equal(reference({ name: 'a/b', tag: '1' }), 'a/b:1');
  for (const image of ['pi', 'pi:latest', 'other@sha256:12', 'pi:3@sha256:12']) {
    assert.ok(means(image, module), image);
  }
  for (const image of ['pi:1', 'tools/pi', 'pi@sha256:13', '']) {
    assert.ok(!means(image, module), image);
  }
});

test('imports are grouped and told in words', () => {
  const core = [
    'wasi_snapshot_preview1 fd_write',
    'wasi_snapshot_preview1 args_get',
    'wasi_snapshot_preview1 path_open',
  ];
  assert.deepEqual(importGroups(core), [
    { from: 'wasi_snapshot_preview1', names: ['fd_write', 'args_get', 'path_open'] },
  ]);
  assert.deepEqual(needs(core), ['files', 'arguments']);
  const component = ['wasi:cli/environment@0.2.0', 'wasi:cli/exit@0.2.0', 'wasi:sockets/tcp@0.2.0', 'odd'];
  assert.deepEqual(importGroups(component), [
    { from: 'odd', names: [] },
    { from: 'wasi:cli@0.2.0', names: ['environment', 'exit'] },
    { from: 'wasi:sockets@0.2.0', names: ['tcp'] },
  ]);
  assert.deepEqual(needs(component), ['network', 'environment']);
});

test('a file gives its module a name', () => {
  const table = {
    'pi.wasm': 'pi',
    'My Program.WASM': 'my-program',
    '/tmp/x_y.wasm': 'x-y',
    '.wasm': 'module',
    ä: 'module',
  };
  for (const [file, name] of Object.entries(table)) {
    assert.equal(nameForFile(file), name, file);
  }
});
