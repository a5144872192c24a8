// axe-core's rules on what is shown now.

import { AXE } from './tools.js';

/** @typedef {{ id: string, help: string, nodes: { target: unknown[], failureSummary?: string }[] }} Violation */

/**
 * Each breach of WCAG 2.2 A and AA and of axe's best practices, as lines. Runs beside the page's own scripts, which its
 * policy would not let it join.
 *
 * @param {import("playwright-core").Page} page
 * @returns {Promise<string[]>}
 */
export async function violations(page) {
  const session = await page.context().newCDPSession(page);
  try {
    const { frameTree } = await session.send('Page.getFrameTree');
    const world = await session.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id });
    const found = await session.send('Runtime.evaluate', {
      expression: `${AXE}; axe.run(document, { resultTypes: ["violations"] }).then((r) => JSON.stringify(r.violations))`,
      contextId: world.executionContextId,
      awaitPromise: true,
      returnByValue: true,
    });
    if (found.exceptionDetails !== undefined) {
      throw new Error(`axe: ${found.exceptionDetails.exception?.description ?? found.exceptionDetails.text}`);
    }
    const list = /** @type {Violation[]} */ (JSON.parse(found.result.value));
    return list.flatMap(({ id, help, nodes }) =>
      nodes.map((node) => `${id}: ${help}: ${node.target.join(' ')}: ${node.failureSummary ?? ''}`),
    );
  } finally {
    await session.detach();
  }
}
