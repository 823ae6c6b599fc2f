/**
 * An upload that tells how far it is. `fetch` does not say how much of a body has gone up; the older interface does.
 */
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
export declare function uploadWithProgress(url: string, blob: Blob, { headers, onProgress, signal }: {
    headers: Record<string, string>;
    onProgress: (sentBytes: number, totalBytes: number) => void;
    signal?: AbortSignal;
}): Promise<any>;
