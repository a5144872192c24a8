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
 * Lets a page tell of breaches of its Content-Security-Policy and of tasks that keep it from answering.
 *
 * @param {import("playwright-core").BrowserContext} context
 */
export async function observe(context) {
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      console.error(
        `policy: ${event.violatedDirective} forbids ${event.blockedURI} (${event.sourceFile}:${event.lineNumber})`,
      );
    });
    /** @type {{ start: number, duration: number }[]} */
    const tasks = [];
    Object.assign(globalThis, { longTasks: tasks });
    new PerformanceObserver((list) => {
      tasks.push(...list.getEntries().map(({ startTime, duration }) => ({ start: startTime, duration })));
    }).observe({ type: 'longtask', buffered: true });
  });
}

/**
 * The longest task of the page's thread while `act` runs, in milliseconds; 0 if none took 50. What came before does not
 * count.
 *
 * @param {import("playwright-core").Page} page
 * @param {() => Promise<void>} act
 */
export async function longestTask(page, act) {
  const start = await page.evaluate(() => performance.now());
  await act();
  return page.evaluate(async (from) => {
    // An observer is told of a task after its end: after two frames it has been.
    await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(drawn))));
    const tasks = /** @type {{ start: number, duration: number }[]} */ (/** @type {any} */ (globalThis).longTasks);
    return Math.max(0, ...tasks.filter((task) => task.start >= from).map((task) => task.duration));
  }, start);
}
