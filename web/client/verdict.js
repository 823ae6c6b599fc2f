/** What the end of a socket means: come back, or do not. */

import { CLOSE_CODES } from "./events.js";
import { SafelightError } from "./errors.js";

/** Close codes after which coming back with the same words would end the same way. @type {Record<number, string>} */
const REFUSALS = { 1008: "forbidden", 4400: "malformed", 4401: "unauthorized", 4406: "not_acceptable" };
const TOO_BIG = 1009;

/**
 * @typedef {object} Verdict
 * @property {string} reason in words
 * @property {SafelightError | null} final what to tell everyone who waits; null if coming back may help
 * @property {boolean} isTooBig a message of ours was too big
 */

/** The present socket is of no more use; another may be. */
export class Broken extends Error {}

/**
 * Judge the end of a socket by its close code.
 *
 * @param {{code: number, reason: string}} end
 * @returns {Verdict}
 */
export function ofClose({ code, reason }) {
  const meaning = reason || CLOSE_CODES[code] || "the connection broke";
  const refusal = REFUSALS[code];
  return {
    reason: `closed with ${code}, ${meaning}`,
    final: refusal === undefined ? null : new SafelightError(refusal, meaning),
    isTooBig: code === TOO_BIG,
  };
}
