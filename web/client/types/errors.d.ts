/**
 * What can go wrong for a user of the client: one error, told apart by its `code`.
 *
 * Codes are the server's (`ERROR_CODES` in events.js) and these of the client's own:
 *
 *     unreachable        nobody answers at that address, and patience has run out
 *     connection_lost    the connection broke and did not come back within `patienceS`
 *     closed             the client was closed
 *     unexpected_answer  what answers there does not speak this protocol
 *
 * What an `AbortSignal` ends throws the signal's reason instead, as `fetch` does.
 */
export type ClientErrorCode = "unreachable" | "connection_lost" | "closed" | "unexpected_answer";
/** @typedef {"unreachable" | "connection_lost" | "closed" | "unexpected_answer"} ClientErrorCode */
/** @type {readonly ClientErrorCode[]} */
export declare const CLIENT_ERROR_CODES: readonly ClientErrorCode[];
export declare class SafelightError extends Error {
    code: string;
    field: string | null;
    status: number | null;
    retryAfterS: number | null;
    /**
     * @param {string} code of the server or of the client; a newer server may have codes that are not listed here
     * @param {string} message what was wrong, for people
     * @param {{field?: string | null, status?: number | null, retryAfterS?: number | null, cause?: unknown}} [more]
     *   `field`: JSONPath of the mistake in what was sent. `status`: of the HTTP answer. `retryAfterS`: when it is worth
     *   trying again.
     */
    constructor(code: string, message: string, { field, status, retryAfterS, cause }?: {
        field?: string | null;
        status?: number | null;
        retryAfterS?: number | null;
        cause?: unknown;
    });
}
/**
 * Read the error of a reply, of a failed job, or an RFC 9457 problem document.
 *
 * @param {unknown} value
 * @param {{status?: number | null, retryAfterS?: number | null}} [more]
 * @returns {SafelightError}
 */
export declare function readRefusal(value: unknown, { status, retryAfterS }?: {
    status?: number | null;
    retryAfterS?: number | null;
}): SafelightError;
