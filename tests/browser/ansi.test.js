// What a program writes for a terminal, as text with a look, and colours that can be read.

import assert from 'node:assert/strict';
import test from 'node:test';

import { parse, plain } from '../../web/lib/ansi.js';
import { contrast, ground, readable } from '../../web/lib/colour.js';

test('colours and weights are kept', () => {
  for (const [line, expected] of /** @type {[string, any][]} */ ([
    ['plain', [{ text: 'plain', look: null }]],
    ['', []],
    [
      '\x1b[31mred\x1b[0m plain',
      [
        { text: 'red', look: { fg: '1' } },
        { text: ' plain', look: null },
      ],
    ],
    ['\x1b[1;92;44mx', [{ text: 'x', look: { bold: true, fg: '10', bg: '4' } }]],
    ['\x1b[38;5;208mx', [{ text: 'x', look: { fg: '#ff8700' } }]],
    [
      '\x1b[38;5;9mx\x1b[48;5;250my',
      [
        { text: 'x', look: { fg: '9' } },
        { text: 'y', look: { fg: '9', bg: '#bcbcbc' } },
      ],
    ],
    ['\x1b[38;2;1;2;3mx', [{ text: 'x', look: { fg: '#010203' } }]],
    ['\x1b[38:2:1:2:3mx', [{ text: 'x', look: { fg: '#010203' } }]],
    [
      '\x1b[3;4;7;9mx\x1b[23;24;27;29my',
      [
        { text: 'x', look: { italic: true, underline: true, inverse: true, strike: true } },
        { text: 'y', look: null },
      ],
    ],
    ['\x1b[mx', [{ text: 'x', look: null }]],
    ['\x9b32mx', [{ text: 'x', look: { fg: '2' } }]],
  ])) {
    assert.deepEqual(parse(line).pieces, expected, JSON.stringify(line));
  }
});

test('colours out of range and cut off are none', () => {
  for (const line of [
    '\x1b[38;5;256mx',
    '\x1b[38;2;1;2mx',
    '\x1b[38;2;1;2;300mx',
    '\x1b[38mx',
    '\x1b[38;5mx',
    '\x1b[999mx',
    '\x1b[38;7;1mx',
  ]) {
    const look = parse(line).pieces[0].look;
    assert.ok(!look?.fg?.startsWith('#'), line.slice(1));
  }
});

test('what a terminal would obey is left out', () => {
  for (const [line, text] of [
    ['\x1b]0;title\x07after', 'after'],
    ['\x1b]8;;https://example.com\x1b\\link\x1b]8;;\x1b\\', 'link'],
    ['\x1b]52;c;Y2xpcA==\x07x', 'x'],
    ['\x1bP1$r0m\x1b\\x', 'x'],
    ['\x1b[2J\x1b[10;10Hx\x1b[K', 'x'],
    ['\x1b[?25lx\x1b[?25h', 'x'],
    ['\x1b(Bx\x1b7\x1b8\x1bc', 'x'],
    ['unfinished \x1b[31', 'unfinished 31'],
    ['unfinished \x1b]0;title', 'unfinished '],
    ['progress 10%\rprogress 90%', 'progress 90%'],
    ['windows\r', 'windows'],
    ['a\x07b\x00c\x7f', 'a␇b␀c␡'],
    ['safe\u202egnp.exe', 'safe<U+202E>gnp.exe'],
    ['\u2066x\u2069', '<U+2066>x<U+2069>'],
    ['tab\tstays', 'tab\tstays'],
  ]) {
    assert.equal(plain(line), text, JSON.stringify(line));
  }
});

test('markup is text like any other', () => {
  const line = '<img src=x onerror=alert(1)>&amp;\x1b[31m<script>';
  assert.equal(plain(line), '<img src=x onerror=alert(1)>&amp;<script>');
});

test('a look goes on into the next line', () => {
  const first = parse('\x1b[33mbegin');
  assert.deepEqual(parse('go on', first.look).pieces, [{ text: 'go on', look: { fg: '3' } }]);
  assert.equal(parse('\x1b[0m', first.look).look, null);
});

test('long lines of escapes take no time', () => {
  const begun = performance.now();
  for (const text of ['\x1b[', '\x1b]', '\x1b[31m', '\x1b', '\x1b[1;', '\x1bP']) parse(text.repeat(20_000));
  assert.ok(performance.now() - begun < 3000);
});

test('each colour can be read on each ground', () => {
  const colours = [
    '#000000',
    '#ffffff',
    '#101318',
    '#f8f9fb',
    '#ff0000',
    '#00ff00',
    '#0000ff',
    '#808080',
    ...Array.from({ length: 16 }, (_, i) => ground(String(i))),
  ];
  for (const on of colours) {
    for (const colour of colours)
      assert.ok(contrast(readable(colour, on), on) >= 4.5, `${colour} on ${on}: ${readable(colour, on)}`);
  }
  assert.equal(readable('#ffffff', '#000000'), '#ffffff');
});
