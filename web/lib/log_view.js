// A log that is followed: search, wrapping, colours, times, download. Only the lines that are seen exist. Everything that a
// guest wrote is text.

import { pathOf, send } from './api.js';
import { plain } from './ansi.js';
import { breathe, fill, h, text } from './dom.js';
import { count, plural } from './format.js';
import { lineElement } from './log_line.js';
import { Rows } from './log_lines.js';
import { LogSource, TAIL } from './log_source.js';
import { toastError } from './overlay.js';
import { button, icon } from './ui.js';

const ROW = 18;

export class LogView {
  #source;
  #rows = new Rows();
  /** The log whose lines were drawn last. @type {import('./log_lines.js').LogLines | null} */
  #last = null;
  #window = h('div', { class: 'log-window' });
  #space = h('div', { class: 'log-space' }, this.#window);
  #lines = h(
    'div',
    {
      class: 'log-lines',
      tabIndex: 0,
      role: 'log',
      'aria-live': 'off',
      'aria-label': 'Log',
      onscroll: () => this.#scrolled(),
    },
    this.#space,
  );
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
  #signal;

  /** @param {HTMLElement} extra stands at the beginning of the bar, such as a choice of containers @param {AbortSignal} signal */
  constructor(extra, signal) {
    this.#signal = signal;
    const toggle = (/** @type {string} */ label, /** @type {string} */ key, on = false) => {
      const box = h('input', {
        type: 'checkbox',
        checked: (sessionStorage.getItem(`kiln.log.${key}`) ?? (on ? '1' : '')) === '1',
      });
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
    this.#source = new LogSource(
      () => this.#later(),
      () => this.#times.box.checked,
      signal,
    );
    this.#times.box.addEventListener('change', () => this.#source.again());
    this.#follow.box.addEventListener('change', () => this.#toEnd());
    this.#search = h('input', {
      type: 'search',
      'data-search': true,
      placeholder: 'Search',
      'aria-label': 'Search in the log',
      spellcheck: 'false',
      autocomplete: 'off',
      oninput: () => void this.#find(),
      onkeydown: (/** @type {KeyboardEvent} */ e) => {
        if (e.key === 'Enter') (e.preventDefault(), this.#next(e.shiftKey ? -1 : 1));
      },
    });
    this.element = h(
      'section',
      { class: 'card flush log', 'aria-label': 'Log' },
      h(
        'div',
        { class: 'log-bar' },
        extra,
        h('div', { class: 'search' }, icon('search'), this.#search),
        h(
          'button',
          { type: 'button', class: 'icon-button', 'aria-label': 'Last place found', onclick: () => this.#next(-1) },
          icon('up'),
        ),
        h(
          'button',
          { type: 'button', class: 'icon-button', 'aria-label': 'Next place found', onclick: () => this.#next(1) },
          icon('down'),
        ),
        this.#found,
        h('span', { class: 'grow' }),
        this.#follow.label,
        this.#wrap.label,
        this.#times.label,
        button('Download', () => void this.#download(), { icon: 'download', kind: 'small' }),
      ),
      this.#lines,
      h('div', { class: 'log-foot' }, this.#state),
    );
    const observer = new ResizeObserver(() => ((this.#character = 0), (this.#drawn = ''), this.#draw()));
    observer.observe(this.#lines);
    document.addEventListener('themechange', () => ((this.#drawn = ''), this.#draw()), { signal });
    signal.addEventListener('abort', () => observer.disconnect());
  }

  /**
   * Shows another log; the same one goes on as it is.
   * @param {import('./log_source.js').Source} source
   * @param {boolean} [isOver] its container has ended
   */
  open(source, isOver = false) {
    this.#source.open(source, isOver);
  }

  #later() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      // Read again after a break: the lines may be others.
      if (this.#last !== this.#source.log) {
        this.#last = this.#source.log;
        this.#drawn = '';
        this.#searched = -1;
      }
      if (this.#search.value && this.#searched !== this.#source.log.version) void this.#find();
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
    if (!this.#own && this.#follow.box.checked !== atEnd && (atEnd || this.#follow.box.checked))
      this.#follow.box.checked = atEnd;
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
    const digits = Math.max(4, String(this.#source.log.lines.length + this.#source.log.dropped).length);
    const left = digits * this.#character + 12 + (this.#times.box.checked ? 12 * this.#character + 12 : 0) + 24;
    return Math.max(8, Math.floor((this.#lines.clientWidth - left - 1) / this.#character));
  }

  #draw() {
    const { lines, dropped } = this.#source.log;
    const view = this.#lines;
    if (view.clientHeight === 0) return;
    const wrap = this.#wrap.box.checked;
    view.classList.toggle('wrap', wrap);
    this.#rows.measure(this.#source.log, wrap ? this.#width() : 0);
    this.#space.style.height = `${this.#rows.total * ROW}px`;
    const words = [
      this.#source.words,
      lines.length ? plural(lines.length, 'line') : '',
      dropped || lines.length >= TAIL ? 'earlier lines are left out; Download has all' : '',
    ]
      .filter(Boolean)
      .join(' · ');
    text(this.#state, words);
    const firstRow = Math.max(0, Math.floor(view.scrollTop / ROW) - 20);
    const lastRow = (view.scrollTop + view.clientHeight) / ROW + 20;
    const from = this.#rows.lineAt(firstRow);
    const to = Math.min(lines.length, this.#rows.lineAt(lastRow) + 1);
    const key = [
      from,
      to,
      this.#source.log.version * (to >= lines.length - 1 ? 1 : 0),
      dropped,
      wrap,
      this.#times.box.checked,
      this.#search.value,
      this.#hit,
      lines.length === 0 && this.#source.words,
    ].join();
    if (key === this.#drawn) return;
    this.#drawn = key;
    if (lines.length === 0) {
      fill(
        this.#window,
        h(
          'p',
          { class: 'log-empty' },
          this.#source.words && this.#source.words !== 'Following'
            ? this.#source.words
            : 'Nothing has been written yet.',
        ),
      );
      return;
    }
    this.#window.style.transform = `translateY(${this.#rows.start(from) * ROW}px)`;
    const times = this.#times.box.checked;
    const wanted = this.#search.value.toLowerCase();
    const under = getComputedStyle(view).getPropertyValue('--code-bg').trim();
    if (/^#[0-9a-f]{6}$/i.test(under)) this.#under = under;
    const current = this.#hits[this.#hit];
    const made = [];
    for (let i = from; i < to; i++) {
      const how = { number: i + 1 + dropped, times, wanted, current: i === current, under: this.#under };
      made.push(lineElement(lines[i], how));
    }
    this.#window.replaceChildren(...made);
  }

  /** The colour of the page beneath, by which others are made readable. */
  #under = '#ffffff';
  #searched = -1;

  /** Looks through all lines, in slices. */
  async #find() {
    const run = ++this.#searching;
    const wanted = this.#search.value.toLowerCase();
    this.#searched = this.#source.log.version;
    if (!wanted) {
      this.#hits = [];
      this.#hit = -1;
      text(this.#found, '');
      this.#drawn = '';
      return this.#draw();
    }
    /** @type {number[]} */
    const hits = [];
    const { lines } = this.#source.log;
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
    text(
      this.#found,
      hits.length
        ? `${this.#hit >= 0 ? `${count(this.#hit + 1)} of ` : ''}${plural(hits.length, 'line')}`
        : 'nothing found',
    );
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
    const { source } = this.#source;
    if (!source) return;
    try {
      const query = { container: source.container, previous: source.previous || undefined };
      const response = await send(`${pathOf('pods', source.namespace, source.pod)}/log`, {
        query,
        accept: '*/*',
        signal: this.#signal,
      });
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
