// The lines of a log: taken in pieces, bounded, wrapped, searched.

import assert from 'node:assert/strict';
import test from 'node:test';

import { LogLines, LONGEST, Rows, columns, withHits } from '../../web/lib/log_lines.js';

const texts = (/** @type {LogLines} */ log) => log.lines.map((line) => line.text);

test('lines come out whole, however they came in', () => {
  const whole = 'one\ntwo\n\nthree and \u00e9\nlast';
  for (const size of [1, 2, 3, 7, 100]) {
    const log = new LogLines();
    for (let i = 0; i < whole.length; i += size) log.add(whole.slice(i, i + size));
    assert.deepEqual(texts(log), ['one', 'two', '', 'three and é']);
    log.end();
    log.end();
    assert.deepEqual(texts(log), ['one', 'two', '', 'three and é', 'last']);
  }
});

test('times are told from the text', () => {
  const log = new LogLines();
  log.add('2026-11-26T09:23:30.530787044Z hello world\nno time here\n2026-11-26T09:23:30Z x\n');
  assert.deepEqual(
    log.lines.map(({ at, text }) => [at, text]),
    [
      ['2026-11-26T09:23:30.530787044Z', 'hello world'],
      ['', 'no time here'],
      ['2026-11-26T09:23:30Z', 'x'],
    ],
  );
});

test('a colour goes on over lines', () => {
  const log = new LogLines();
  log.add('\x1b[31mred\nstill\x1b[0m\nplain\n');
  assert.deepEqual(
    log.lines.map((line) => line.look),
    [null, { fg: '1' }, null],
  );
});

test('memory is bounded, also by one line without an end', () => {
  const log = new LogLines();
  for (let i = 0; i < 230; i++) log.add('x\n'.repeat(1000));
  assert.ok(
    log.lines.length <= 205_000 && log.dropped + log.lines.length === 230_000,
    `${log.lines.length} ${log.dropped}`,
  );
  const long = new LogLines();
  for (let i = 0; i < 100; i++) long.add('y'.repeat(10_000));
  long.end();
  assert.equal(texts(long).join('').length, 1_000_000);
  assert.ok(long.lines.every((line) => line.text.length <= LONGEST));
});

test('rows are those of a terminal', () => {
  assert.deepEqual(['', 'abc', '日本', 'e\u0301', 'a\tb', '😀'].map(columns), [0, 3, 4, 1, 9, 2]);
  const log = new LogLines();
  log.add(`short\n${'x'.repeat(25)}\n\n${'y'.repeat(10)}\n`);
  const rows = new Rows();
  rows.measure(log, 10);
  assert.deepEqual([rows.total, rows.start(0), rows.start(1), rows.start(2), rows.start(3)], [6, 0, 1, 4, 5]);
  assert.deepEqual(
    [0, 1, 3, 4, 5, 99].map((row) => rows.lineAt(row)),
    [0, 1, 1, 2, 3, 3],
  );
  log.add('more\n');
  rows.measure(log, 10);
  assert.equal(rows.total, 7);
  rows.measure(log, 0);
  assert.equal(rows.total, 5);
});

test('what is found is marked across pieces', () => {
  const pieces = [
    { text: 'Hello Wo', look: null },
    { text: 'rld hello', look: { fg: '1' } },
  ];
  assert.deepEqual(withHits(pieces, 'o world'), [
    { text: 'Hell', look: null, hit: false },
    { text: 'o Wo', look: null, hit: true },
    { text: 'rld', look: { fg: '1' }, hit: true },
    { text: ' hello', look: { fg: '1' }, hit: false },
  ]);
  assert.equal(withHits(pieces, 'hello').filter((piece) => piece.hit).length, 2);
  assert.deepEqual(
    withHits(pieces, ''),
    pieces.map((piece) => ({ ...piece, hit: false })),
  );
  assert.equal(
    withHits([{ text: 'aaaa', look: null }], 'aa')
      .map((piece) => piece.text)
      .join('|'),
    'aa|aa',
  );
});
