// Every view and its address, on one page. A view is loaded when it is first opened.

/**
 * What a view is given.
 * @typedef {object} Context
 * @property {HTMLElement} root where it puts itself; empty
 * @property {string[]} params the variable parts of the address
 * @property {URLSearchParams} query what stands behind the `?` of the address
 * @property {(changes: Record<string, string | null>) => void} setQuery changes the address without leaving the view
 * @property {string} namespace that was chosen; empty: all
 * @property {AbortSignal} signal aborted when the view is left
 * @property {(title: string) => void} title names the tab
 * @property {boolean} restored whether it is shown again by going back
 */

/**
 * @typedef {object} View
 * @property {RegExp} path of the address behind `#`
 * @property {string} nav the entry of the navigation that it belongs to
 * @property {() => Promise<{show: (context: Context) => void | Promise<void>}>} load
 */

/** The entries of the navigation. */
export const NAV = [
  { id: 'overview', label: 'Overview', href: '#/', key: 'o' },
  { id: 'jobs', label: 'Jobs', href: '#/jobs', key: 'j' },
  { id: 'cronjobs', label: 'CronJobs', href: '#/cronjobs', key: 'c' },
  { id: 'modules', label: 'Modules', href: '#/modules', key: 'm' },
  { id: 'events', label: 'Events', href: '#/events', key: 'e' },
];

/** @type {View[]} */
export const VIEWS = [
  { path: /^\/$/, nav: 'overview', load: () => import('./overview.js') },
  { path: /^\/jobs$/, nav: 'jobs', load: () => import('./jobs.js') },
  { path: /^\/jobs\/([^/]+)\/([^/]+)$/, nav: 'jobs', load: () => import('./job.js') },
  { path: /^\/pods\/([^/]+)\/([^/]+)$/, nav: 'jobs', load: () => import('./pod.js') },
  { path: /^\/events$/, nav: 'events', load: () => import('./events.js') },
  { path: /^\/new$/, nav: '', load: () => import('./new_job.js') },
  { path: /^\/cronjobs$/, nav: 'cronjobs', load: () => import('./cronjobs.js') },
  { path: /^\/cronjobs\/([^/]+)\/([^/]+)$/, nav: 'cronjobs', load: () => import('./cronjobs.js') },
  { path: /^\/modules$/, nav: 'modules', load: () => import('./modules.js') },
];

/** Addresses of objects. @type {(namespace: string, name: string) => string} */
export const jobHref = (namespace, name) => `#/jobs/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`;
/** @type {(namespace: string, name: string) => string} */
export const podHref = (namespace, name) => `#/pods/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`;
/** @type {(namespace: string, name: string) => string} */
export const cronHref = (namespace, name) => `#/cronjobs/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`;
