/**
 * An upload that tells how far it is. `fetch` does not say how much of a body has gone up; the older interface does.
 */

import { SafelightError } from "./errors.js";
import { readAnswer, readProblem } from "./rest.js";

/**
 * @param {string} url
 * @param {Blob} blob
 * @param {object} options
 * @param {Record<string, string>} options.headers
 * @param {(sentBytes: number, totalBytes: number) => void} options.onProgress
 * @param {AbortSignal} [options.signal]
 * @returns {Promise<any>} the answer's JSON
 * @throws {SafelightError} the server refused, or cannot be reached
 */
export function uploadWithProgress(url, blob, { headers, onProgress, signal }) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) throw signal.reason;
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    signal?.addEventListener("abort", abort, { once: true });
    request.open("POST", url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded }) => onProgress(Math.min(loaded, blob.size), blob.size);
    request.onabort = () => reject(signal?.reason);
    request.onerror = () => reject(new SafelightError("unreachable", `no answer from ${url}`));
    request.onload = () => {
      const { status, responseText } = request;
      try {
        if (status >= 200 && status < 300) resolve(readAnswer(responseText));
        else reject(readProblem(responseText, status, request.getResponseHeader("Retry-After")));
      } catch (error) {
        reject(error);
      }
    };
    request.onloadend = () => signal?.removeEventListener("abort", abort);
    request.send(blob);
  });
}
