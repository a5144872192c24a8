// Sends a module's file, and tells how far it is: `fetch` cannot, so this is the one request that is made otherwise.

import { ApiError, bearer, refusal, send, urlOf } from './api.js';

/** What the server found. @typedef {{ name: string, tag: string, digest: string, size: number, kind: string }} Uploaded */

/**
 * Uploads a file under a name. `progress` is told how many bytes have gone; once it is all, the server checks and compiles.
 *
 * @param {Blob} file
 * @param {string} reference `NAME[:TAG]`
 * @param {(sent: number) => void} progress
 * @param {AbortSignal} signal
 * @returns {Promise<Uploaded>}
 * @throws {ApiError}
 */
export async function upload(file, reference, progress, signal) {
  // Asks for the token if there is need of one, so that no large file goes on its way without it.
  await send('/version', { signal });
  const response = await request(file, reference, progress, signal);
  if (!response.ok) {
    throw await refusal(response);
  }
  return response.json();
}

/**
 * @param {Blob} file
 * @param {string} reference
 * @param {(sent: number) => void} progress
 * @param {AbortSignal} signal
 * @returns {Promise<Response>}
 */
function request(file, reference, progress, signal) {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    const path = reference.split('/').map(encodeURIComponent).join('/').replaceAll('%3A', ':');
    sending.open('PUT', urlOf(`/modules/${path}`));
    sending.setRequestHeader('Content-Type', 'application/wasm');
    const token = bearer();
    if (token !== null) {
      sending.setRequestHeader('Authorization', `Bearer ${token}`);
    }
    sending.upload.onprogress = (event) => progress(event.loaded);
    sending.upload.onload = () => progress(file.size);
    sending.onload = () =>
      resolve(new Response(sending.responseText, { status: sending.status, statusText: sending.statusText }));
    sending.onerror = () => reject(new ApiError(0, 'Unreachable', 'the upload broke off: kiln cannot be reached'));
    sending.onabort = () => reject(signal.reason);
    signal.addEventListener('abort', () => sending.abort());
    sending.send(file);
  });
}
