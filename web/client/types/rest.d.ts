/** Calls over HTTP: with the key on them, answers read, refusals as `SafelightError`. One try each. */
import { SafelightError } from "./errors.js";
export type CallOptions = {
    /**
     * lists are repeated; what
     * is null or undefined is left out
     */
    query?: Record<string, string | number | readonly string[] | null | undefined>;
    headers?: Record<string, string>;
    /**
     * sent as JSON; or `body`, sent as it is
     */
    json?: unknown;
    body?: Blob | ArrayBuffer | Uint8Array<ArrayBuffer>;
    /**
     * error statuses whose answer is wanted like any other
     */
    also?: readonly number[];
    signal?: AbortSignal;
};
/**
 * @typedef {object} CallOptions
 * @property {Record<string, string | number | readonly string[] | null | undefined>} [query] lists are repeated; what
 *   is null or undefined is left out
 * @property {Record<string, string>} [headers]
 * @property {unknown} [json] sent as JSON; or `body`, sent as it is
 * @property {Blob | ArrayBuffer | Uint8Array<ArrayBuffer>} [body]
 * @property {readonly number[]} [also] error statuses whose answer is wanted like any other
 * @property {AbortSignal} [signal]
 */
export declare class Rest {
    #private;
    base: string;
    /**
     * @param {string} base where the server answers, without a slash at its end
     * @param {() => string | null} key
     * @param {typeof globalThis.fetch} fetch
     */
    constructor(base: string, key: () => string | null, fetch: typeof globalThis.fetch);
    /**
     * The whole address of a path of the server.
     *
     * @param {string} path
     * @param {CallOptions["query"]} [query]
     */
    url(path: string, query?: CallOptions["query"]): string;
    /** What to send along to be let in; empty without a key. */
    get authorization(): Record<string, string>;
    /**
     * Call once.
     *
     * @param {string} method
     * @param {string} path
     * @param {CallOptions} [options]
     * @returns {Promise<Response>}
     * @throws {SafelightError} the server refused, or cannot be reached
     */
    call(method: string, path: string, { query, headers, json, body, also, signal }?: CallOptions): Promise<Response>;
    /**
     * Call, and read the answer's JSON.
     *
     * @param {string} method
     * @param {string} path
     * @param {CallOptions} [options]
     * @returns {Promise<any>}
     */
    json(method: string, path: string, options?: CallOptions): Promise<any>;
}
/**
 * @param {string} text
 * @throws {SafelightError} it is no JSON
 */
export declare function readAnswer(text: string): any;
/**
 * An HTTP answer that refuses, as an error.
 *
 * @param {string} text of the body
 * @param {number} status
 * @param {string | null} retryAfter
 */
export declare function readProblem(text: string, status: number, retryAfter: string | null): SafelightError;
