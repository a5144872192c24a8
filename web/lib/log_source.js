// The lines of a log as they are written: read from the server, followed, and read again where that broke off.
//
//   read ──ends──▶ ended, or rest ──▶ read, if the container runs: it was cut off on the way
//   read ──refused, breaks──▶ rest (back-off) ──▶ read
//   any ──tab hidden, connection dead──▶ rest ──shown, back, another log──▶ read

import { ApiError, pathOf, send } from './api.js';
import { connection } from './connection.js';
import { breathe } from './dom.js';
import { LogLines } from './log_lines.js';

/** Milliseconds after which a line that has not ended is shown. */
const OPEN_AFTER = 150;
/** Lines that are loaded from the end of a long log. */
export const TAIL = 100_000;

/**
 * Which log; `run`: how often the container was started before.
 * @typedef {{ namespace: string, pod: string, container: string, previous: boolean, run: number }} Source
 */

export class LogSource {
  log = new LogLines();
  /** How it stands, in words. */
  words = '';

  /** @type {Source | null} */
  source = null;
  #changed;
  #withTimes;
  #signal;
  /** @type {AbortController | null} */
  #stream = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #opens;

  /**
   * @param {() => void} changed told of more lines and of another state
   * @param {() => boolean} withTimes whether the server is to write the times
   * @param {AbortSignal} signal
   */
  constructor(changed, withTimes, signal) {
    this.#changed = changed;
    this.#withTimes = withTimes;
    this.#signal = signal;
    const again = () => this.#stream?.abort();
    for (const event of ['pause', 'resume', 'dead', 'back']) connection.addEventListener(event, again, { signal });
    signal.addEventListener('abort', () => (this.#stream?.abort(), connection.forget(this)));
  }

  /**
   * Reads another log; the same one goes on as it is.
   * @param {Source} source
   * @param {boolean} [isOver] its container has ended
   */
  open(source, isOver = false) {
    this.#isOver = isOver;
    if (JSON.stringify(source) === JSON.stringify(this.source)) return this.#wake();
    const first = this.source === null;
    this.source = source;
    this.again();
    if (first) void this.#run();
  }

  /** Reads it from the beginning. */
  again() {
    this.log = new LogLines();
    this.#stream?.abort();
  }

  async #run() {
    let wait = 300;
    let ended = '';
    while (!this.#signal.aborted) {
      const source = this.source;
      const key = JSON.stringify([source, this.#withTimes()]);
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
        wait = 300;
        // A log that ends although the program runs was cut off on the way, or its end has not been told yet.
        if (!this.#isOver) {
          await this.#rest(2000, signal);
          if (!this.#isOver) continue;
        }
        ended = key;
        this.#say(this.log.lines.length ? 'Ended' : 'It wrote nothing.', 'live');
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
        await this.#rest(wait, signal);
        wait = Math.min(wait * 2, 8000);
      }
    }
  }

  /** The container has ended, so nothing more will be written. */
  #isOver = false;
  /** Ends a rest: the pod has changed, so it may be worth to ask again. */
  #wake = () => {};

  /** @param {number} ms @param {AbortSignal} signal */
  #rest(ms, signal) {
    return new Promise((/** @type {(value: void) => void} */ resolve) => {
      const done = () => (clearTimeout(timer), resolve());
      const timer = setTimeout(done, ms);
      this.#wake = done;
      signal.addEventListener('abort', done);
    });
  }

  /** From the start, or from a hundred thousand lines before the end. @param {Source} source @param {AbortSignal} signal */
  async #read(source, signal) {
    const path = `${pathOf('pods', source.namespace, source.pod)}/log`;
    const query = {
      container: source.container,
      previous: source.previous || undefined,
      follow: true,
      timestamps: this.#withTimes() || undefined,
      tailLines: TAIL,
    };
    this.#say(this.log.lines.length ? '' : 'Loading…', 'loading');
    const response = await send(path, { query, signal, accept: '*/*' });
    if (!response.body) return;
    // What is there stays until the first piece of the new answer, so that a lost connection does not blank the page.
    const log = new LogLines();
    clearTimeout(this.#opens);
    const isAgain = this.log.lines.length > 0;
    if (!isAgain) this.log = log;
    this.#say('Following', 'live');
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read().catch(() => {
        throw new ApiError(0, 'Unreachable', 'the connection broke');
      });
      if (done) break;
      for (let at = 0; at < value.length; at += 128 << 10) {
        log.add(value.slice(at, at + (128 << 10)));
        if (signal.aborted) return;
        if (log.lines.length >= Math.min(this.log.lines.length, 2000)) this.log = log;
        this.#changed();
        if (value.length > 128 << 10) await breathe();
      }
      clearTimeout(this.#opens);
      if (log.hasOpen) this.#opens = setTimeout(() => (log.showOpen(), this.#changed()), OPEN_AFTER);
    }
    clearTimeout(this.#opens);
    log.end();
    this.log = log;
    this.#changed();
  }

  /** @param {string} words @param {import('./connection.js').State} state */
  #say(words, state) {
    this.words = words;
    connection.tell(this, state);
    this.#changed();
  }
}
