/** Every word the page says, in the language of its reader. */

const SAVED = "safelight.language";

/** @typedef {"en" | "zh"} Language */

/** @type {Language} */
export const language = _chosen();

/** The other language is not sent. Each has all words: a test sees to that. @type {Record<string, string>} */
const WORDS = language === "zh" ? (await import("./zh.js")).zh : (await import("./en.js")).en;

/**
 * Choose the language. It counts from the next time the page is loaded, which is at once: jobs do not mind.
 *
 * @param {Language} chosen
 */
export function chooseLanguage(chosen) {
  localStorage.setItem(SAVED, chosen);
  location.reload();
}

/**
 * @param {string} key - for example `make.prompt`.
 * @param {Record<string, string | number>} [values] - for the names in braces.
 * @returns {string}
 */
export function t(key, values = {}) {
  const words = WORDS[key];
  if (words === undefined) return key;
  return words.replaceAll(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    return value === undefined ? whole : typeof value === "number" ? number(value) : value;
  });
}

/**
 * @param {string} key
 * @returns {boolean} whether there are words for it.
 */
export function hasWords(key) {
  return key in WORDS;
}

/**
 * Fill in the words of what stands in the document: `data-t` names those of its text, `data-t-label` of its name.
 *
 * @param {ParentNode} root
 */
export function fill(root) {
  for (const element of root.querySelectorAll("[data-t]")) {
    element.textContent = t(/** @type {HTMLElement} */ (element).dataset.t ?? "");
  }
  for (const element of root.querySelectorAll("[data-t-label]")) {
    element.setAttribute("aria-label", t(/** @type {HTMLElement} */ (element).dataset.tLabel ?? ""));
  }
}

/**
 * @param {unknown} error
 * @returns {string} what went wrong, and what to do about it. What the server said follows, where it says more.
 */
export function errorWords(error) {
  const { code, message, field } = /** @type {{code?: string, message?: string, field?: string}} */ (error ?? {});
  if (code !== undefined && hasWords(`error.${code}`)) return t(`error.${code}`, { message: message ?? "", field: field ?? "" }).trim();
  if (message) return t("error.other", { message });
  return t("error.unknown");
}

/** @type {Map<string, Intl.NumberFormat>} making one takes longer than all else that is done in a frame. */
const _FORMATS = new Map();

/**
 * @param {number} value
 * @param {Intl.NumberFormatOptions} [options]
 * @returns {string}
 */
export function number(value, options) {
  const name = JSON.stringify(options) ?? "";
  let format = _FORMATS.get(name);
  if (format === undefined) _FORMATS.set(name, (format = new Intl.NumberFormat(language, options)));
  return format.format(value);
}

/**
 * @param {number} seconds - above 0.
 * @returns {string} for example `12 s`, `3 min`, `2 h`, `7 days`.
 */
export function duration(seconds) {
  const unit = seconds < 90 ? "second" : seconds < 5400 ? "minute" : seconds < 172_800 ? "hour" : "day";
  const value = seconds / { second: 1, minute: 60, hour: 3600, day: 86_400 }[unit];
  return number(value, { style: "unit", unit, maximumFractionDigits: value < 10 && unit === "second" ? 1 : 0 });
}

/**
 * @param {number} bytes
 * @returns {string} for example `3.4 MB`.
 */
export function size(bytes) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return number(bytes / 1000 ** power, { style: "unit", unit: units[power], maximumSignificantDigits: 3 });
}

/**
 * @param {string} at - RFC 3339.
 * @returns {string} by the reader's clock.
 */
export function time(at) {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" }).format(new Date(at));
}

/** @returns {Language} */
function _chosen() {
  const saved = globalThis.localStorage?.getItem(SAVED);
  if (saved === "en" || saved === "zh") return saved;
  return (globalThis.navigator?.language ?? "en").toLowerCase().startsWith("zh") ? "zh" : "en";
}
