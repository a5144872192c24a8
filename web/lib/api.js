// Requests to the server that this page came from: the public API, with the token if there is one. Refusals are thrown as
// `ApiError`, with the words and the field errors of the server.

import { learnServerTime } from './time.js';

/** Where the API is: beside the page, so that a proxy may put both under a path of its own. */
const BASE = new URL('./', document.baseURI);

const TOKEN = 'kiln.token';

/** @typedef {{reason?: string, message?: string, field?: string}} Cause */

/** A refusal by the server, or `code` 0: it could not be reached. */
export class ApiError extends Error {
  /**
   * @param {number} code
   * @param {string} reason such as `NotFound`
   * @param {string} message
   * @param {Cause[]} [causes] faults of single fields
   */
  constructor(code, reason, message, causes = []) {
    super(message);
    this.code = code;
    this.reason = reason;
    this.causes = causes;
    /** With 410 of a list: where the rest can be had. */
    this.more = '';
  }

  /** The server did not answer at all, or could not now: the same may work later. */
  get isTransient() {
    return this.code === 0 || this.code === 429 || this.code >= 502;
  }
}

/**
 * Asks the user for the token: resolves with it, rejects if there is none. Given by `app.js`.
 * @type {(wrong: boolean) => Promise<string>}
 */
let askForToken = () => Promise.reject(new ApiError(401, 'Unauthorized', 'a token is needed'));

/** @param {(wrong: boolean) => Promise<string>} ask */
export function onTokenNeeded(ask) {
  askForToken = ask;
}

/** @type {Promise<void> | null} */
let asking = null;

/** Kept for this tab only. */
const token = {
  get: () => sessionStorage.getItem(TOKEN),
  set: (/** @type {string} */ value) => sessionStorage.setItem(TOKEN, value),
  forget: () => sessionStorage.removeItem(TOKEN),
};

/** The token in use, for the one request that is not made here. */
export const bearer = () => token.get();
/** The token in use, whether there is one, and forgetting it. */
export const tokenInUse = () => token.get();
export const hasToken = () => token.get() !== null;
export const forgetToken = () => token.forget();

/**
 * @typedef {object} Options
 * @property {string} [method]
 * @property {Record<string, string | number | boolean | undefined | null>} [query]
 * @property {BodyInit | null} [body]
 * @property {string} [type] media type of the body
 * @property {string} [accept]
 * @property {AbortSignal} [signal]
 * @property {number} [timeout] milliseconds until an answer must have begun
 */

/** @param {string} path @param {Options['query']} [query] */
export function urlOf(path, query) {
  const url = new URL(path.replace(/^\//, ''), BASE);
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== null && value !== '') url.searchParams.set(name, String(value));
  }
  return url;
}

/**
 * The answer to a request that was accepted. Asks for a token and tries again where one is needed.
 * @param {string} path such as `/api/v1/pods`
 * @param {Options} [options]
 * @returns {Promise<Response>}
 */
export async function send(path, options = {}) {
  for (;;) {
    const used = token.get();
    const response = await once(path, options, used);
    if (response.status !== 401) {
      if (response.ok) return response;
      throw await refusal(response);
    }
    // Somebody else's request may have brought a new one meanwhile.
    if (token.get() === used) {
      asking ??= askForToken(used !== null).then(token.set).finally(() => { asking = null; });
      await asking;
    }
  }
}

/**
 * @param {string} path
 * @param {Options} options
 * @param {string | null} bearer
 */
async function once(path, options, bearer) {
  const headers = new Headers({ Accept: options.accept ?? 'application/json' });
  if (options.type) headers.set('Content-Type', options.type);
  if (bearer) headers.set('Authorization', `Bearer ${bearer}`);
  const abort = new AbortController();
  const cancel = () => abort.abort();
  options.signal?.addEventListener('abort', cancel);
  if (options.signal?.aborted) cancel();
  const timer = options.timeout ? setTimeout(cancel, options.timeout) : undefined;
  try {
    const response = await fetch(urlOf(path, options.query), {
      method: options.method ?? 'GET', headers, body: options.body, signal: abort.signal,
      cache: 'no-store', credentials: 'omit', redirect: 'error',
    });
    learnServerTime(response.headers.get('Date'), Date.now());
    return response;
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, 'Unreachable', timer && abort.signal.aborted ? 'kiln does not answer' : 'kiln cannot be reached');
  } finally {
    clearTimeout(timer);
    // The signal must go on to end a body that is being read, so it stays connected.
  }
}

/** What an answer says that is no good one. @param {Response} response */
export async function refusal(response) {
  const text = await response.text().catch(() => '');
  try {
    const status = JSON.parse(text);
    const error = new ApiError(response.status, status.reason ?? '', status.message ?? text, status.details?.causes ?? []);
    error.more = status.metadata?.continue ?? '';
    return error;
  } catch {
    return new ApiError(response.status, response.statusText, text.slice(0, 500) || `the server answered ${response.status}`);
  }
}

/**
 * The answer as JSON.
 * @param {string} path
 * @param {Options} [options]
 * @returns {Promise<any>}
 */
export const get = async (path, options) => (await send(path, { timeout: 30_000, ...options })).json();

/**
 * Sends an object, or YAML text as it was written.
 * @param {'POST' | 'PUT' | 'DELETE'} method
 * @param {string} path
 * @param {object | string} body
 * @param {Options} [options]
 * @returns {Promise<any>}
 */
export async function write(method, path, body, options) {
  const isText = typeof body === 'string';
  const type = isText ? 'application/yaml' : 'application/json';
  const response = await send(path, { method, body: isText ? body : JSON.stringify(body), type, timeout: 30_000, ...options });
  return response.json();
}

/**
 * Changes some fields (JSON merge patch).
 * @param {string} path
 * @param {object} fields
 * @returns {Promise<any>}
 */
export async function patch(path, fields) {
  const type = 'application/merge-patch+json';
  return (await send(path, { method: 'PATCH', body: JSON.stringify(fields), type, timeout: 30_000 })).json();
}

/**
 * Deletes an object, and what it owns after it.
 * @param {string} path
 */
export const remove = (path) => write('DELETE', path, { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Background' });

/** Objects of a page: so few that parsing one is a task of some milliseconds. */
const PAGE = 250;

/**
 * A collection page by page, as it was at one moment. If that moment is too long ago for the server before all pages are
 * there, the rest is as it is now: `mixed` says so.
 * @param {string} path
 * @param {{labelSelector?: string, fieldSelector?: string}} [query]
 * @param {AbortSignal} [signal]
 * @returns {AsyncGenerator<{items: any[], revision: string, left: number, mixed: boolean}>}
 */
export async function* pages(path, query, signal) {
  let more = '';
  let mixed = false;
  do {
    let page;
    try {
      page = await get(path, { query: { ...query, limit: PAGE, continue: more }, signal });
    } catch (error) {
      if (!(error instanceof ApiError && error.code === 410 && error.more && error.more !== more)) throw error;
      more = error.more;
      mixed = true;
      continue;
    }
    more = page.metadata?.continue ?? '';
    yield { items: page.items ?? [], revision: page.metadata?.resourceVersion ?? '', left: page.metadata?.remainingItemCount ?? 0, mixed };
  } while (more);
}

/**
 * The path of an object or of a collection.
 * @param {'jobs' | 'cronjobs' | 'pods' | 'events' | 'namespaces' | 'nodes'} plural
 * @param {string} [namespace] all, or no namespace, if empty
 * @param {string} [name]
 */
export function pathOf(plural, namespace, name) {
  const base = plural === 'jobs' || plural === 'cronjobs' ? '/apis/batch/v1' : '/api/v1';
  const within = namespace ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  return `${base}${within}/${plural}${name ? `/${encodeURIComponent(name)}` : ''}`;
}
