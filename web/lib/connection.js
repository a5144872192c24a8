// Whether what is on the page is true now. Each watch tells its state here; the page shows the worst of them, and a
// heartbeat finds out about connections that are dead without having been closed.
//
//   live ──stream ends, no answer──▶ lost ──an answer──▶ live
//   live, lost ──tab hidden──▶ paused ──tab shown──▶ lost (until the first answer)

import { ApiError, send } from './api.js';

/** @typedef {'loading' | 'live' | 'lost' | 'paused'} State */

const BEAT_EVERY = 5_000;
const BEAT_WITHIN = 4_000;

class Connection extends EventTarget {
  /** @type {Map<object, State>} */
  #watches = new Map();
  /** @type {'live' | 'lost'} */
  #server = 'live';
  #told = '';
  /** Why the server says that it is not well; empty if it is. */
  trouble = '';
  /** When it was lost; NaN while it is not. */
  lostAt = NaN;

  get isHidden() {
    return document.visibilityState === 'hidden';
  }

  /** @returns {State} */
  get state() {
    if (this.isHidden) return 'paused';
    const all = [...this.#watches.values()];
    if (this.#server === 'lost' || all.includes('lost')) return 'lost';
    if (all.includes('paused')) return 'paused';
    return all.includes('loading') ? 'loading' : 'live';
  }

  /** @param {object} watch @param {State} state */
  tell(watch, state) {
    this.#watches.set(watch, state);
    this.#changed();
  }

  /** @param {object} watch */
  forget(watch) {
    this.#watches.delete(watch);
    this.#changed();
  }

  #changed() {
    const state = this.state;
    if (state === 'lost' && Number.isNaN(this.lostAt)) this.lostAt = Date.now();
    if (state === 'live' || state === 'loading') this.lostAt = NaN;
    const told = `${state} ${this.trouble}`;
    if (told === this.#told) return;
    this.#told = told;
    this.dispatchEvent(new Event('change'));
  }

  /** Begins to look after the server; once, by `app.js`. */
  start() {
    document.addEventListener('visibilitychange', () => {
      this.dispatchEvent(new Event(this.isHidden ? 'pause' : 'resume'));
      this.#changed();
      if (!this.isHidden) this.#beat();
    });
    this.#beat();
  }

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #beating = false;

  async #beat() {
    if (this.#beating || this.isHidden) return;
    this.#beating = true;
    clearTimeout(this.#timer);
    const before = this.#server;
    try {
      await send('/readyz', { timeout: BEAT_WITHIN, accept: 'text/plain' });
      this.#server = 'live';
      this.trouble = '';
    } catch (error) {
      const reached = error instanceof ApiError && error.code !== 0;
      this.#server = reached ? 'live' : 'lost';
      this.trouble = reached ? /** @type {ApiError} */ (error).message : '';
    }
    this.#beating = false;
    if (before !== this.#server) this.dispatchEvent(new Event(this.#server === 'lost' ? 'dead' : 'back'));
    this.#changed();
    this.#timer = setTimeout(() => this.#beat(), this.#server === 'lost' ? 1_000 : BEAT_EVERY);
  }
}

/** Events: `change` of what is shown, and for the watches `pause`, `resume`, `dead`, `back`. */
export const connection = new Connection();
