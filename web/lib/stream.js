// The lines of an answer that never ends: a watch.
//
//   WebSocket ──does not open──▶ plain answer, which says why, or works all the same
//
// A browser keeps six plain connections to a server, for all tabs together, so a few tabs that watch would leave none to
// ask anything. WebSockets are not counted there. A proxy may not let them through.

import { ApiError, send, tokenInUse, urlOf } from './api.js';

/** Milliseconds until an answer must have begun. */
const OPENS_WITHIN = 15_000;
/** A token among the subprotocols, where the API server looks for it; and the one that it answers with. */
const BEARER = 'base64url.bearer.authorization.k8s.io.';
const PROTOCOL = 'base64.binary.k8s.io';
/** After so many in a row that did not open, where the plain answer worked, no further ones are tried. */
const MOST_FAILED = 3;

/** Characters that may wait to be read. A browser takes from a WebSocket whatever comes, so a page that is too slow gives up
 * by itself, as the server would give up a plain answer that nobody reads. */
const MOST_WAITING = 16 << 20;

let failed = 0;

/**
 * Lines as they come, several at a time; an empty list once the answer has begun. Ends when the answer does, when
 * `signal` says so, or after `silence` milliseconds without a line; 410 if they come faster than they are read.
 * @param {string} path
 * @param {Record<string, string | number | boolean | undefined>} query
 * @param {AbortSignal} signal
 * @param {number} silence
 * @returns {AsyncGenerator<string[], void>}
 */
export async function* lines(path, query, signal, silence) {
  const socket = failed < MOST_FAILED ? await open(path, query, signal) : null;
  if (socket) {
    failed = 0;
    yield* ofSocket(socket, signal, silence);
    return;
  }
  const response = await send(path, { query, signal, timeout: OPENS_WITHIN });
  failed++;
  if (response.body) yield* ofBody(response.body, silence);
}

/**
 * @param {string} path
 * @param {Record<string, string | number | boolean | undefined>} query
 * @param {AbortSignal} signal
 * @returns {Promise<WebSocket | null>} `null` if it cannot be had; why is not told to pages
 */
function open(path, query, signal) {
  const url = urlOf(path, query);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const token = tokenInUse();
  const socket = new WebSocket(url, token === null ? [] : [BEARER + base64url(token), PROTOCOL]);
  return new Promise((resolve) => {
    const give = (/** @type {WebSocket | null} */ result) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      socket.onopen = socket.onclose = null;
      resolve(result);
    };
    // Closed while it opens, it would complain.
    const stop = () => {
      give(null);
      socket.onopen = () => socket.close();
    };
    const timer = setTimeout(stop, OPENS_WITHIN);
    signal.addEventListener('abort', stop);
    socket.onopen = () => give(socket);
    socket.onclose = () => give(null);
    if (signal.aborted) stop();
  });
}

/**
 * @param {WebSocket} socket which has just opened
 * @param {AbortSignal} signal
 * @param {number} silence
 * @returns {AsyncGenerator<string[], void>}
 */
async function* ofSocket(socket, signal, silence) {
  /** @type {string[]} */
  let come = [];
  let waiting = 0;
  let isOver = signal.aborted;
  let wake = () => {};
  const end = () => { isOver = true; wake(); };
  socket.onmessage = ({ data }) => {
    come.push(data);
    waiting += data.length;
    if (waiting > MOST_WAITING) socket.close();
    wake();
  };
  socket.onclose = end;
  signal.addEventListener('abort', end);
  try {
    yield [];
    for (;;) {
      if (waiting > MOST_WAITING) throw new ApiError(410, 'Expired', 'more changes than could be read');
      if (come.length > 0) {
        const taken = come;
        come = [];
        waiting = 0;
        yield taken;
        continue;
      }
      if (isOver) return;
      /** @type {ReturnType<typeof setTimeout> | undefined} */
      let timer;
      await new Promise((/** @type {(value: void) => void} */ resolve) => {
        wake = resolve;
        timer = setTimeout(end, silence);
      });
      clearTimeout(timer);
    }
  } finally {
    signal.removeEventListener('abort', end);
    socket.onmessage = socket.onclose = null;
    socket.close();
  }
}

/**
 * @param {ReadableStream<Uint8Array<ArrayBuffer>>} body
 * @param {number} silence
 * @returns {AsyncGenerator<string[], void>}
 */
async function* ofBody(body, silence) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  try {
    yield [];
    for (;;) {
      const timer = setTimeout(() => void reader.cancel().catch(() => {}), silence);
      const read = reader.read().catch(() => { throw new ApiError(0, 'Unreachable', 'the connection broke'); });
      const { done, value } = await read.finally(() => clearTimeout(timer));
      if (done) return;
      const come = (rest + value).split('\n');
      rest = come.pop() ?? '';
      yield come;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** @param {string} text */
function base64url(text) {
  const bytes = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
