// What comes from outside: it is installed under target/tools/browser (`make browser`), where imports by name do not look.

import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the project. */
export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** Where cargo and make put what they make. */
export const TARGET = process.env.CARGO_TARGET_DIR ?? path.join(ROOT, 'target');

const tools = createRequire(path.join(TARGET, 'tools/browser/package.json'));

/** @type {typeof import("playwright-core")} */
export const playwright = tools('playwright-core');

/** The text of axe-core, to be run in a page. */
export const AXE = /** @type {{ source: string }} */ (tools('axe-core')).source;

/** The program under test. */
export const KILN = process.env.KILN_PROGRAM ?? path.join(TARGET, 'release/kiln');

/** Debian's browser, or another Chromium. */
export const CHROMIUM = process.env.KILN_CHROMIUM ?? '/usr/bin/chromium';
