/**
 * What a job's warning says. The server says it in English, with names and numbers; in other languages each code has
 * words of its own, which are loaded only where they are read.
 */

import { language } from "./words.js";

/** @type {Readonly<Record<string, string>>} */
const WORDS = language === "zh" ? (await import("./zh-warnings.js")).WARNINGS : {};

/**
 * @param {{code: string, message: string}} warning
 * @returns {string}
 */
export function warningWords({ code, message }) {
  return WORDS[code] ?? message;
}
