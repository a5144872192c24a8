// The shell: which view is shown, the token, the namespace, the theme, the keys, and whether what is shown is true now.

import { ApiError, forgetToken, hasToken, onTokenNeeded, send } from './lib/api.js';
import { namespaces } from './lib/cluster.js';
import { connection } from './lib/connection.js';
import { $, fill, h, isTyping, newId, set, text } from './lib/dom.js';
import { openDialog } from './lib/overlay.js';
import { duration } from './lib/time.js';
import { announce, button, emptyPage, icon } from './lib/ui.js';
import { NAV, VIEWS } from './views/index.js';

/** @type {HTMLElement} */
const root = $('#view');
/** @type {HTMLElement} */
const main = $('#main');
/** @type {HTMLSelectElement} */
const chooser = $('#namespace');

// Navigation.

fill(
  $('#nav'),
  NAV.map(({ id, label, href }) => h('a', { href, id: `nav-${id}` }, icon(id), h('span', {}, label))),
);

/** @type {AbortController | null} */
let current = null;
let shown = '';
/** The address that is shown, with what the view itself has put into it. */
let known = '';

function address() {
  const hash = location.hash.replace(/^#/, '') || '/';
  const cut = hash.indexOf('?');
  return { path: cut < 0 ? hash : hash.slice(0, cut), query: new URLSearchParams(cut < 0 ? '' : hash.slice(cut + 1)) };
}

/** Shows the view of the address. @param {boolean} [anew] also if it is shown already */
async function route(anew = false) {
  const { path, query } = address();
  if (location.hash === known && shown && !anew) return;
  known = location.hash;
  const isFirst = shown === '';
  shown = path;
  current?.abort();
  const leave = new AbortController();
  current = leave;
  const found = VIEWS.map((view) => ({ view, match: view.path.exec(path) })).find(({ match }) => match);
  for (const { id } of NAV) set($(`#nav-${id}`), { 'aria-current': found?.view.nav === id ? 'page' : null });
  root.className = 'view';
  root.replaceChildren();
  main.scrollTop = 0;
  const title = (/** @type {string} */ words) => {
    document.title = words ? `${words} · kiln` : 'kiln';
  };
  if (!found) {
    title('Not found');
    fill(root, emptyPage('There is no such page', h('a', { class: 'button', href: '#/' }, 'To the overview')));
    return;
  }
  try {
    const { show } = await found.view.load();
    if (leave.signal.aborted) return;
    const params = (found.match ?? []).slice(1).map(decode);
    await show({ root, params, query, setQuery, namespace: chooser.value, signal: leave.signal, title });
    // The keyboard and a screen reader go on at the new page, not at the link that led there.
    if (!isFirst && !anew && !root.contains(document.activeElement)) main.focus({ preventScroll: true });
    if (!isFirst) announce(document.title);
  } catch (error) {
    if (leave.signal.aborted) return;
    console.error(error);
    const words = error instanceof ApiError ? error.message : String(error);
    // A file that could not be fetched is not asked for again by every browser, so the whole page is.
    const again = error instanceof ApiError ? () => route(true) : () => location.reload();
    connection.addEventListener('back', again, { once: true, signal: leave.signal });
    fill(root, emptyPage('This page could not be shown', h('p', {}, words), button('Try again', again)));
  }
}

/** @param {string} part */
function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** @param {Record<string, string | null>} changes */
function setQuery(changes) {
  const { path, query } = address();
  for (const [name, value] of Object.entries(changes)) {
    if (value) query.set(name, value);
    else query.delete(name);
  }
  const rest = String(query);
  known = `#${path}${rest ? `?${rest}` : ''}`;
  history.replaceState(null, '', known);
}

addEventListener('hashchange', () => route());

// The namespace.

async function loadNamespaces() {
  const names = await namespaces().catch(() => null);
  if (!names) return;
  const chosen = chooser.value || sessionStorage.getItem('kiln.namespace') || '';
  fill(
    chooser,
    h('option', { value: '' }, 'All namespaces'),
    names.map((name) => h('option', { value: name }, name)),
  );
  chooser.value = names.includes(chosen) ? chosen : '';
}

chooser.addEventListener('change', () => {
  sessionStorage.setItem('kiln.namespace', chooser.value);
  route(true);
});
chooser.addEventListener('pointerdown', () => void loadNamespaces());

// The token.

onTokenNeeded(async (wrong) => {
  const field = newId('token');
  const token = await openDialog(
    'This server wants a token',
    (/** @type {(answer: string | null) => void} */ done) => {
      const input = h('input', {
        id: field,
        type: 'password',
        autocomplete: 'off',
        spellcheck: 'false',
        required: true,
        autofocus: true,
        'aria-invalid': wrong ? 'true' : null,
        'aria-describedby': `${field}-hint`,
      });
      const problem = h('p', { class: 'field-error', role: 'alert' }, wrong && 'That was not the token.');
      return h(
        'form',
        {
          method: 'dialog',
          onsubmit: (/** @type {Event} */ e) => (e.preventDefault(), input.value.trim() && done(input.value.trim())),
        },
        h(
          'p',
          { id: `${field}-hint`, class: 'muted' },
          'It is in the file that kiln was started with (--token-file). It is kept for this tab only, until the tab is closed.',
        ),
        h('div', { class: 'field' }, h('label', { for: field }, 'Token'), input, problem),
        h('div', { class: 'actions' }, h('button', { type: 'submit', class: 'button primary' }, 'Go on')),
      );
    },
    { closable: false },
  );
  if (token === null) throw new ApiError(401, 'Unauthorized', 'this server wants a token');
  if (/[^\x21-\x7e]/.test(token)) return 'not-a-token';
  return token;
});

// Whether it is true now.

const WORDS = { loading: 'Loading', live: 'Live', lost: 'Connection lost', paused: 'Paused' };
const button_ = $('#connection');
/** @type {HTMLElement} */
const banner = $('#banner');

let wasLost = false;
function showConnection() {
  const { state, trouble, lostAt } = connection;
  set(button_, { 'data-state': state });
  text($('#connection-word'), WORDS[state]);
  const lost = state === 'lost';
  const words = lost
    ? 'Connection to kiln lost. What is shown is how it was; trying again.'
    : trouble
      ? `kiln is not well: ${trouble}`
      : '';
  banner.hidden = !words;
  banner.dataset.kind = lost ? 'lost' : 'trouble';
  fill(
    banner,
    words && h('span', { class: 'grow' }, words),
    lost && h('span', { class: 'small', 'aria-hidden': 'true' }, ago()),
  );
  if (wasLost && state === 'live') announce('Connected again');
  wasLost = lost || (wasLost && state !== 'live');
  text($('#connection-detail'), words || 'What is shown is followed as it changes.');
  if (lost || state === 'paused') root.dataset.stale = state;
  else delete root.dataset.stale;
  function ago() {
    return Number.isNaN(lostAt) ? '' : `for ${duration(Math.floor((Date.now() - lostAt) / 1000) * 1000)}`;
  }
}
connection.addEventListener('change', showConnection);
setInterval(() => connection.state === 'lost' && showConnection(), 1000);
button_.addEventListener('click', async () => {
  const forget = await openDialog('Connection', (/** @type {(answer: boolean | null) => void} */ done) =>
    h(
      'div',
      { class: 'body' },
      h('p', {}, $('#connection-detail').textContent),
      h(
        'p',
        { class: 'muted' },
        `Server: ${location.host}. ${hasToken() ? 'A token is kept for this tab.' : 'No token is needed.'}`,
      ),
      h(
        'div',
        { class: 'actions' },
        hasToken() && button('Forget the token', () => done(true)),
        button('Close', () => done(null), { kind: 'primary' }),
      ),
    ),
  );
  if (forget) {
    forgetToken();
    location.reload();
  }
});

// The theme: as the system has it, light, or dark.

const THEMES = ['auto', 'light', 'dark'];
const themeButton = $('#theme');
function showTheme() {
  const theme = document.documentElement.dataset.theme ?? 'auto';
  fill(themeButton, icon({ auto: 'auto', light: 'sun', dark: 'moon' }[theme] ?? 'auto'));
  const words = `Theme: ${theme === 'auto' ? 'as the system' : theme}`;
  set(themeButton, { 'aria-label': words, title: words });
}
themeButton.addEventListener('click', () => {
  const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme ?? 'auto') + 1) % THEMES.length];
  if (next === 'auto') {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem('kiln.theme');
  } else {
    document.documentElement.dataset.theme = next;
    localStorage.setItem('kiln.theme', next);
  }
  showTheme();
  document.dispatchEvent(new Event('themechange'));
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () =>
  document.dispatchEvent(new Event('themechange')),
);
showTheme();

// Keys.

/** @type {[string[], string][]} */
const KEYS = [
  [['/'], 'Go to the filter or search'],
  [['j', 'k'], 'Next and previous row; the arrows, too'],
  [['Enter'], 'Open what is active'],
  [['Space'], 'Select it; with Shift a range'],
  [['Esc'], 'Leave a field, close a dialog, go up'],
  [['g', 'o'], 'Overview'],
  [['g', 'j'], 'Jobs'],
  [['g', 'c'], 'CronJobs'],
  [['g', 'm'], 'Modules'],
  [['g', 'e'], 'Events'],
  [['n'], 'New Job'],
  [['f'], 'Next failure, in the map of a Job'],
  [['?'], 'These keys'],
];
const showKeys = () =>
  openDialog('Keyboard', (done) =>
    h(
      'div',
      { class: 'body' },
      h(
        'div',
        { class: 'keys' },
        KEYS.flatMap(([keys, words]) => [
          h(
            'span',
            { class: 'row' },
            keys.map((k) => h('kbd', {}, k)),
          ),
          h('span', {}, words),
        ]),
      ),
      h(
        'div',
        { class: 'actions' },
        button('Close', () => done(null), { kind: 'primary' }),
      ),
    ),
  );
$('#keys').addEventListener('click', showKeys);

let wentAt = -Infinity;
addEventListener('keydown', (event) => {
  if (
    event.defaultPrevented ||
    event.ctrlKey ||
    event.metaKey ||
    event.altKey ||
    document.querySelector('dialog[open]')
  )
    return;
  if (isTyping(event.target)) {
    if (event.key === 'Escape') /** @type {HTMLElement} */ (event.target).blur();
    return;
  }
  const to = NAV.find(({ key }) => key === event.key);
  if (performance.now() - wentAt < 1500 && to) {
    location.hash = to.href;
    wentAt = -Infinity;
  } else if (event.key === 'g') {
    wentAt = performance.now();
  } else if (event.key === '?') {
    void showKeys();
  } else if (event.key === 'n') {
    location.hash = '#/new';
  } else if (event.key === '/') {
    /** @type {HTMLElement | null} */ (root.querySelector('[data-search]'))?.focus();
  } else if (event.key === 'j' || event.key === 'k' || event.key === 'ArrowDown') {
    const table = /** @type {HTMLElement | null} */ (root.querySelector('[role=grid]'));
    if (
      !table ||
      (event.key === 'ArrowDown' && document.activeElement !== document.body && document.activeElement?.id !== 'main')
    )
      return;
    table.focus();
    table.dispatchEvent(new KeyboardEvent('keydown', { key: 'j', bubbles: false }));
  } else if (event.key === 'Escape') {
    /** @type {HTMLElement | null} */ (root.querySelector('[data-up]'))?.click();
    return;
  } else {
    return;
  }
  event.preventDefault();
});

connection.start();
// Once the token is there, if one is needed.
const begin = () =>
  send('/version').then(
    () => (connection.use(), loadNamespaces()),
    () => {},
  );
connection.addEventListener('back', begin);
begin().finally(() => route());
