// A log that is followed: search, wrapping, colours, times, download. Only the lines that are seen exist. Everything that a
// guest wrote is text.

import { ApiError, pathOf, send } from './api.js';
import { parse, plain } from './ansi.js';
import { contrast, ground, readable } from './colour.js';
import { connection } from './connection.js';
import { breathe, fill, h, set, text } from './dom.js';
import { count, plural } from './format.js';
import { LogLines, Rows, withHits } from './log_lines.js';
import { toastError } from './overlay.js';
import { button, icon } from './ui.js';

const ROW = 18;
/** Lines that are loaded from the end of a long log. */
const TAIL = 100_000;

/** @typedef {{namespace: string, pod: string, container: string, previous: boolean, run: number}} Source `run`: how often it was started before */

export class LogView {
  #log = new LogLines();
  #rows = new Rows();
  /** @type {Source | null} */
  #source = null;
  #window = h('div', { class: 'log-window' });
  #space = h('div', { class: 'log-space' }, this.#window);
  #lines = h('div', { class: 'log-lines', tabIndex: 0, role: 'log', 'aria-live': 'off', 'aria-label': 'Log', onscroll: () => this.#scrolled() }, this.#space);
  #state = h('span', { role: 'status' });
  #found = h('span', { class: 'small muted', 'aria-live': 'polite' });
  #search;
  #follow;
  #wrap;
  #times;
  /** Lines in which something was found. @type {number[]} */
  #hits = [];
  #hit = -1;
  #searching = 0;
  #frame = 0;
  #drawn = '';
  #character = 0;
  /** @type {AbortController | null} */
  #stream = null;
  #signal;

  /** @param {HTMLElement} extra stands at the beginning of the bar, such as a choice of containers @param {AbortSignal} signal */
  constructor(extra, signal) {
    this.#signal = signal;
    const toggle = (/** @type {string} */ label, /** @type {string} */ key, on = false) => {
      const box = h('input', { type: 'checkbox', checked: (sessionStorage.getItem(`kiln.log.${key}`) ?? (on ? '1' : '')) === '1' });
      box.addEventListener('change', () => {
        sessionStorage.setItem(`kiln.log.${key}`, box.checked ? '1' : '');
        this.#drawn = '';
        this.#draw();
      });
      return { box, label: h('label', { class: 'toggle' }, box, label) };
    };
    this.#follow = toggle('Follow', 'follow', true);
    this.#wrap = toggle('Wrap', 'wrap', true);
    this.#times = toggle('Times', 'times');
    // The server writes the times into the text, where nobody could tell them from what the program wrote itself.
    this.#times.box.addEventListener('change', () => {
      this.#log = new LogLines();
      this.#stream?.abort();
    });
    this.#follow.box.addEventListener('change', () => this.#toEnd());
    this.#search = h('input', {
      type: 'search', 'data-search': true, placeholder: 'Search', 'aria-label': 'Search in the log', spellcheck: 'false', autocomplete: 'off',
      oninput: () => void this.#find(), onkeydown: (/** @type {KeyboardEvent} */ e) => { if (e.key === 'Enter') (e.preventDefault(), this.#next(e.shiftKey ? -1 : 1)); },
    });
    this.element = h('section', { class: 'card flush log', 'aria-label': 'Log' },
      h('div', { class: 'log-bar' }, extra, h('div', { class: 'search' }, icon('search'), this.#search),
        h('button', { type: 'button', class: 'icon-button', 'aria-label': 'Last place found', onclick: () => this.#next(-1) }, icon('up')),
        h('button', { type: 'button', class: 'icon-button', 'aria-label': 'Next place found', onclick: () => this.#next(1) }, icon('down')), this.#found,
        h('span', { class: 'grow' }), this.#follow.label, this.#wrap.label, this.#times.label,
        button('Download', () => void this.#download(), { icon: 'download', kind: 'small' })),
      this.#lines, h('div', { class: 'log-foot' }, this.#state));
    const observer = new ResizeObserver(() => (this.#character = 0, this.#drawn = '', this.#draw()));
    observer.observe(this.#lines);
    const again = () => this.#stream?.abort();
    document.addEventListener('themechange', () => (this.#drawn = '', this.#draw()), { signal });
    for (const event of ['pause', 'resume', 'dead', 'back']) connection.addEventListener(event, again, { signal });
    signal.addEventListener('abort', () => (observer.disconnect(), this.#stream?.abort(), connection.forget(this)));
  }

  /** Shows another log; the same one goes on as it is. @param {Source} source */
  open(source) {
    if (JSON.stringify(source) === JSON.stringify(this.#source)) return;
    const first = this.#source === null;
    this.#source = source;
    this.#log = new LogLines();
    this.#stream?.abort();
    if (first) void this.#run();
  }

  async #run() {
    let wait = 300;
    let ended = '';
    while (!this.#signal.aborted) {
      const source = this.#source;
      const key = JSON.stringify([source, this.#times.box.checked]);
      if (ended && ended !== key) ended = '';
      this.#stream = new AbortController();
      const signal = AbortSignal.any([this.#signal, this.#stream.signal]);
      if (connection.isHidden || !source || ended === key) {
        if (ended !== key) this.#say('Paused', 'paused');
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        continue;
      }
      try {
        await this.#read(source, signal);
        if (signal.aborted) continue;
        // Ended by the server: the program has ended, or kiln is being stopped; which of them, the next answer says.
        ended = key;
        this.#say(this.#log.lines.length ? 'Ended' : 'It wrote nothing.', 'live');
        wait = 300;
      } catch (error) {
        if (this.#signal.aborted) return;
        if (signal.aborted) continue;
        if (error instanceof ApiError && !error.isTransient && error.code < 500) {
          if (error.code === 404) {
            ended = key;
            this.#say('The log is gone', 'live');
            continue;
          }
          // Such as "container is waiting to start": asked again, slowly.
          this.#say(error.message, 'live');
          wait = 1500;
        } else this.#say('Connection lost, trying again', 'lost');
        await new Promise((resolve) => {
          const timer = setTimeout(resolve, wait);
          signal.addEventListener('abort', () => (clearTimeout(timer), resolve(undefined)));
        });
        wait = Math.min(wait * 2, 8000);
      }
    }
  }

  /** From the start, or from a hundred thousand lines before the end. @param {Source} source @param {AbortSignal} signal */
  async #read(source, signal) {
    const path = `${pathOf('pods', source.namespace, source.pod)}/log`;
    const query = { container: source.container, previous: source.previous || undefined, follow: true, timestamps: this.#times.box.checked || undefined, tailLines: TAIL };
    this.#say(this.#log.lines.length ? '' : 'Loading…', 'loading');
    const response = await send(path, { query, signal, accept: '*/*' });
    if (!response.body) return;
    // What is there stays until the first piece of the new answer, so that a lost connection does not blank the page.
    const log = new LogLines();
    const isAgain = this.#log.lines.length > 0;
    if (!isAgain) this.#log = log;
    this.#say('Following', 'live');
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read().catch(() => { throw new ApiError(0, 'Unreachable', 'the connection broke'); });
      if (done) break;
      for (let at = 0; at < value.length; at += 128 << 10) {
        log.add(value.slice(at, at + (128 << 10)));
        if (signal.aborted) return;
        if (this.#log !== log && log.lines.length >= Math.min(this.#log.lines.length, 2000)) this.#swap(log);
        this.#later();
        if (value.length > 128 << 10) await breathe();
      }
    }
    log.end();
    if (this.#log !== log) this.#swap(log);
    this.#later();
  }

  /** @param {LogLines} log */
  #swap(log) {
    this.#log = log;
    this.#drawn = '';
    void this.#find();
  }

  /** @param {string} words @param {import('./connection.js').State} state */
  #say(words, state) {
    this.#words = words;
    connection.tell(this, state);
    this.#later();
  }
  #words = '';

  #later() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      if (this.#search.value && this.#searched !== this.#log.version) void this.#find();
      this.#draw();
      if (this.#follow.box.checked) this.#toEnd();
    });
  }

  #toEnd() {
    if (!this.#follow.box.checked) return;
    this.#own = true;
    this.#lines.scrollTop = this.#lines.scrollHeight;
    this.#draw();
  }
  /** A scroll that the page itself has caused. */
  #own = false;

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#lines;
    const atEnd = scrollHeight - scrollTop - clientHeight < ROW * 1.5;
    // Who scrolls back wants to read, and who scrolls to the end to follow.
    if (!this.#own && this.#follow.box.checked !== atEnd && (atEnd || this.#follow.box.checked)) this.#follow.box.checked = atEnd;
    this.#own = false;
    this.#draw();
  }

  #width() {
    if (!this.#character) {
      const probe = h('span', { class: 'what' }, '0'.repeat(100));
      const line = h('div', { class: 'log-line', style: { visibility: 'hidden', position: 'absolute' } }, probe);
      this.#space.append(line);
      this.#character = probe.getBoundingClientRect().width / 100 || 7.5;
      line.remove();
    }
    const digits = Math.max(4, String(this.#log.lines.length + this.#log.dropped).length);
    const left = digits * this.#character + 12 + (this.#times.box.checked ? 12 * this.#character + 12 : 0) + 24;
    return Math.max(8, Math.floor((this.#lines.clientWidth - left - 1) / this.#character));
  }

  #draw() {
    const { lines, dropped } = this.#log;
    const view = this.#lines;
    if (view.clientHeight === 0) return;
    const wrap = this.#wrap.box.checked;
    view.classList.toggle('wrap', wrap);
    this.#rows.measure(this.#log, wrap ? this.#width() : 0);
    this.#space.style.height = `${this.#rows.total * ROW}px`;
    const words = [this.#words, lines.length ? plural(lines.length, 'line') : '', dropped || lines.length >= TAIL ? 'earlier lines are left out; Download has all' : ''].filter(Boolean).join(' · ');
    text(this.#state, words);
    const firstRow = Math.max(0, Math.floor(view.scrollTop / ROW) - 20);
    const lastRow = (view.scrollTop + view.clientHeight) / ROW + 20;
    const from = this.#rows.lineAt(firstRow);
    const to = Math.min(lines.length, this.#rows.lineAt(lastRow) + 1);
    const key = [from, to, this.#log.version * (to >= lines.length - 1 ? 1 : 0), dropped, wrap, this.#times.box.checked, this.#search.value, this.#hit].join();
    if (key === this.#drawn) return;
    this.#drawn = key;
    if (lines.length === 0) {
      fill(this.#window, h('p', { class: 'log-empty' }, this.#words && this.#words !== 'Following' ? this.#words : 'Nothing has been written yet.'));
      return;
    }
    this.#window.style.transform = `translateY(${this.#rows.start(from) * ROW}px)`;
    const wanted = this.#search.value.toLowerCase();
    const under = getComputedStyle(view).getPropertyValue('--code-bg').trim();
    if (/^#[0-9a-f]{6}$/i.test(under)) this.#under = under;
    const current = this.#hits[this.#hit];
    const made = [];
    for (let i = from; i < to; i++) made.push(this.#line(i, wanted, i === current));
    this.#window.replaceChildren(...made);
  }

  /** @param {number} i @param {string} wanted @param {boolean} current */
  #line(i, wanted, current) {
    const { at, text, look } = this.#log.lines[i];
    const pieces = withHits(parse(text, look).pieces, wanted);
    return h('div', { class: 'log-line' }, h('span', { class: 'no', 'aria-hidden': 'true' }, i + 1 + this.#log.dropped),
      this.#times.box.checked && h('span', { class: 'at', title: at }, (at || '').slice(11, 23).padEnd(12)),
      h('span', { class: 'what' }, pieces.map((piece) => {
        if (!piece.look && !piece.hit) return piece.text;
        const element = h(piece.hit ? 'mark' : 'span', { class: piece.hit && current ? 'current' : null }, piece.text);
        if (piece.look) dress(element, piece.look, this.#under);
        return element;
      })));
  }

  /** The colour of the page beneath, by which others are made readable. */
  #under = '#ffffff';
  #searched = -1;

  /** Looks through all lines, in slices. */
  async #find() {
    const run = ++this.#searching;
    const wanted = this.#search.value.toLowerCase();
    this.#searched = this.#log.version;
    if (!wanted) {
      this.#hits = [];
      this.#hit = -1;
      text(this.#found, '');
      this.#drawn = '';
      return this.#draw();
    }
    /** @type {number[]} */
    const hits = [];
    const { lines } = this.#log;
    let until = performance.now() + 8;
    for (let i = 0; i < lines.length; i++) {
      const { text } = lines[i];
      if ((/[\x00-\x1f\x7f-\x9f]/.test(text) ? plain(text) : text).toLowerCase().includes(wanted)) hits.push(i);
      if ((i & 255) === 0 && performance.now() > until) {
        await breathe();
        if (run !== this.#searching) return;
        until = performance.now() + 8;
      }
    }
    const old = this.#hits[this.#hit];
    this.#hits = hits;
    this.#hit = old === undefined ? -1 : hits.indexOf(old);
    text(this.#found, hits.length ? `${this.#hit >= 0 ? `${count(this.#hit + 1)} of ` : ''}${plural(hits.length, 'line')}` : 'nothing found');
    this.#drawn = '';
    this.#draw();
  }

  /** @param {1 | -1} step */
  #next(step) {
    const n = this.#hits.length;
    if (n === 0) return;
    if (this.#hit < 0) {
      const here = this.#rows.lineAt(this.#lines.scrollTop / ROW);
      const at = this.#hits.findIndex((line) => line >= here);
      this.#hit = at < 0 ? 0 : at;
    } else this.#hit = (this.#hit + step + n) % n;
    this.#follow.box.checked = false;
    text(this.#found, `${count(this.#hit + 1)} of ${plural(n, 'line')}`);
    this.#own = true;
    this.#lines.scrollTop = Math.max(0, this.#rows.start(this.#hits[this.#hit]) * ROW - this.#lines.clientHeight / 2);
    this.#draw();
  }

  /** All of it, as the program wrote it. */
  async #download() {
    const source = this.#source;
    if (!source) return;
    try {
      const query = { container: source.container, previous: source.previous || undefined };
      const response = await send(`${pathOf('pods', source.namespace, source.pod)}/log`, { query, accept: '*/*', signal: this.#signal });
      // As bytes, so that no browser takes it for a page.
      const url = URL.createObjectURL(new Blob([await response.arrayBuffer()], { type: 'application/octet-stream' }));
      const link = h('a', { href: url, download: `${source.pod}-${source.container}.log` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    } catch (error) {
      if (!this.#signal.aborted) toastError('The log was not downloaded', error);
    }
  }
}

/**
 * @param {HTMLElement} element
 * @param {import('./ansi.js').Look} look
 * @param {string} under the colour of the page beneath, `#rrggbb`
 */
function dress(element, look, under) {
  const names = ['bold', 'dim', 'italic', 'underline', 'strike'].filter((name) => look[/** @type {'bold'} */ (name)]);
  if (names.length) set(element, { class: `${element.className} ${names.join(' ')}` });
  const [fg, bg] = look.inverse ? [look.bg, look.fg] : [look.fg, look.bg];
  const on = bg !== undefined ? ground(bg) : look.inverse ? (brightGround(under) ? '#171a21' : '#e6e9ef') : '';
  if (on) {
    element.style.backgroundColor = on;
    element.style.color = readable(fg === undefined ? under : ground(fg), on);
  } else if (fg !== undefined) element.style.color = fg.startsWith('#') ? readable(fg, under) : `var(--a${fg})`;
}

/** @param {string} hex */
const brightGround = (hex) => contrast(hex, '#000000') > contrast(hex, '#ffffff');
