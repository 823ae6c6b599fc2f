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

/** @typedef {"unreachable" | "connection_lost" | "closed" | "unexpected_answer"} ClientErrorCode */

/** @type {readonly ClientErrorCode[]} */
export const CLIENT_ERROR_CODES = Object.freeze(["unreachable", "connection_lost", "closed", "unexpected_answer"]);

export class SafelightError extends Error {
  /**
   * @param {string} code of the server or of the client; a newer server may have codes that are not listed here
   * @param {string} message what was wrong, for people
   * @param {{field?: string | null, status?: number | null, retryAfterS?: number | null, cause?: unknown}} [more]
   *   `field`: JSONPath of the mistake in what was sent. `status`: of the HTTP answer. `retryAfterS`: when it is worth
   *   trying again.
   */
  constructor(code, message, { field = null, status = null, retryAfterS = null, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "SafelightError";
    this.code = code;
    this.field = field;
    this.status = status;
    this.retryAfterS = retryAfterS;
  }
}

/**
 * Read the error of a reply, of a failed job, or an RFC 9457 problem document.
 *
 * @param {unknown} value
 * @param {{status?: number | null, retryAfterS?: number | null}} [more]
 * @returns {SafelightError}
 */
export function readRefusal(value, { status = null, retryAfterS = null } = {}) {
  const fields = /** @type {Record<string, unknown>} */ (value ?? {});
  const message = fields.message ?? fields.detail ?? fields.title ?? "the server gave no reason";
  const field = typeof fields.field === "string" ? fields.field : null;
  return new SafelightError(String(fields.code ?? "internal"), String(message), { field, status, retryAfterS });
}
