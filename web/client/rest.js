/** Calls over HTTP: with the key on them, answers read, refusals as `SafelightError`. One try each. */

import { SafelightError, readRefusal } from "./errors.js";
import { parseJson, writeJson } from "./json.js";

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

export class Rest {
  #key;
  #fetch;

  /**
   * @param {string} base where the server answers, without a slash at its end
   * @param {() => string | null} key
   * @param {typeof globalThis.fetch} fetch
   */
  constructor(base, key, fetch) {
    this.base = base;
    this.#key = key;
    this.#fetch = fetch;
  }

  /**
   * The whole address of a path of the server.
   *
   * @param {string} path
   * @param {CallOptions["query"]} [query]
   */
  url(path, query = {}) {
    const pairs = Object.entries(query).flatMap(([name, value]) => {
      const values = Array.isArray(value) ? value : value === null || value === undefined ? [] : [value];
      return values.map((item) => [name, String(item)]);
    });
    return this.base + path + (pairs.length > 0 ? `?${new URLSearchParams(pairs)}` : "");
  }

  /** What to send along to be let in; empty without a key. */
  get authorization() {
    const key = this.#key();
    /** @type {Record<string, string>} */
    const headers = key === null ? {} : { Authorization: `Bearer ${key}` };
    return headers;
  }

  /**
   * Call once.
   *
   * @param {string} method
   * @param {string} path
   * @param {CallOptions} [options]
   * @returns {Promise<Response>}
   * @throws {SafelightError} the server refused, or cannot be reached
   */
  async call(method, path, { query, headers = {}, json, body, also = [], signal } = {}) {
    const isJson = json !== undefined;
    let response;
    try {
      response = await this.#fetch(this.url(path, query), {
        method,
        headers: { ...this.authorization, ...(isJson ? { "Content-Type": "application/json" } : {}), ...headers },
        body: isJson ? writeJson(json) : body,
        signal,
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new SafelightError("unreachable", `no answer from ${this.base} (${error})`, { cause: error });
    }
    if (response.ok || also.includes(response.status)) return response;
    throw await refusalOf(response);
  }

  /**
   * Call, and read the answer's JSON.
   *
   * @param {string} method
   * @param {string} path
   * @param {CallOptions} [options]
   * @returns {Promise<any>}
   */
  async json(method, path, options = {}) {
    const response = await this.call(method, path, {
      ...options,
      headers: { Accept: "application/json", ...options.headers },
    });
    return readAnswer(await response.text());
  }
}

/**
 * @param {string} text
 * @throws {SafelightError} it is no JSON
 */
export function readAnswer(text) {
  if (text === "") return null;
  try {
    return parseJson(text);
  } catch (error) {
    const message = "the answer is no JSON; is it a Safelight server?";
    throw new SafelightError("unexpected_answer", message, { cause: error });
  }
}

/** @param {Response} response */
async function refusalOf(response) {
  return readProblem(await response.text().catch(() => ""), response.status, response.headers.get("Retry-After"));
}

/**
 * An HTTP answer that refuses, as an error.
 *
 * @param {string} text of the body
 * @param {number} status
 * @param {string | null} retryAfter
 */
export function readProblem(text, status, retryAfter) {
  let problem = null;
  try {
    problem = parseJson(text);
  } catch {
    // a proxy's word, not the server's
  }
  const seconds = Number(retryAfter ?? Number.NaN);
  const more = { status, retryAfterS: Number.isFinite(seconds) ? seconds : null };
  if (problem?.code) return readRefusal(problem, more);
  if (status === 502 || status === 503 || status === 504) {
    return new SafelightError("unreachable", `a server on the way answered HTTP ${status}`, more);
  }
  const message = `HTTP ${status} without a problem document; is it a Safelight server?`;
  return new SafelightError("unexpected_answer", message, more);
}
