// One headless Chromium for the tests of a file, and pages in it that notice their own faults.

import { after } from 'node:test';

import { CHROMIUM, playwright } from './tools.js';

/** @type {Promise<import("playwright-core").Browser> | undefined} */
let running;

/** The browser; it is started when first asked for, and ends with the tests of the file. */
export function browser() {
  running ??= playwright.chromium.launch({
    executablePath: CHROMIUM,
    // Chromium's own sandbox does not work for root; the pages are ours.
    args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
  });
  return running;
}

after(async () => (await running)?.close());

/** Collects what must not happen in a page: errors on its console, errors that nobody caught, breaches of its policy. */
export class Faults {
  /** @type {string[]} */
  #seen = [];
  /** @type {RegExp[]} */
  #allowed;

  /** @param {import("playwright-core").Page} page @param {RegExp[]} allowed of errors that the test provokes */
  constructor(page, allowed) {
    this.#allowed = [...allowed];
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') {
        this.#seen.push(`console ${message.type()}: ${message.text()} (${message.location().url})`);
      }
    });
    page.on('pageerror', (error) => this.#seen.push(`not caught: ${error.stack ?? error.message}`));
    page.on('crash', () => this.#seen.push('the page crashed'));
  }

  /** From now on errors that look like this are part of the test. @param {RegExp} pattern */
  allow(pattern) {
    this.#allowed.push(pattern);
  }

  /** Those of which the test knows nothing. */
  list() {
    return this.#seen.filter((fault) => !this.#allowed.some((pattern) => pattern.test(fault)));
  }
}

/**
 * Lets a page tell of breaches of its Content-Security-Policy.
 *
 * @param {import('playwright-core').BrowserContext} context
 */
export async function observe(context) {
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      console.error(
        `policy: ${event.violatedDirective} forbids ${event.blockedURI} (${event.sourceFile}:${event.lineNumber})`,
      );
    });
  });
}

/** A task of the page's thread, in milliseconds: how long it kept the page from answering, and what it computed of that.
 * @typedef {{ wall: number, cpu: number }} Task */
/** @typedef {{ name: string, ph: string, pid: number, tid: number, dur?: number, tdur?: number, args: any }} TraceEvent */

/**
 * The longest task of the page's thread while `act` runs, by what it computed. On a machine that does nothing else that is
 * as long as it kept the page from answering; on a busy one the rest is not the page's doing.
 *
 * @param {import('playwright-core').Page} page
 * @param {() => Promise<void>} act
 * @returns {Promise<Task>}
 */
export async function longestTask(page, act) {
  const running = await browser();
  await running.startTracing(page, { categories: ['toplevel'] });
  let trace;
  try {
    await act();
  } finally {
    trace = await running.stopTracing();
  }
  const { traceEvents } = /** @type {{ traceEvents: TraceEvent[] }} */ (JSON.parse(trace.toString()));
  const thread = (/** @type {TraceEvent} */ event) => `${event.pid} ${event.tid}`;
  const isMain = (/** @type {TraceEvent} */ event) =>
    event.name === 'thread_name' && event.args.name === 'CrRendererMain';
  const mains = new Set(traceEvents.filter(isMain).map(thread));
  const longest = { wall: 0, cpu: 0 };
  for (const event of traceEvents) {
    const { dur = 0, tdur = 0 } = event;
    if (event.name === 'ThreadControllerImpl::RunTask' && mains.has(thread(event)) && tdur > longest.cpu * 1000) {
      Object.assign(longest, { wall: dur / 1000, cpu: tdur / 1000 });
    }
  }
  return longest;
}
