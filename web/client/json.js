/**
 * JSON whose whole numbers stay whole: a seed may be as large as 2^63 - 1, of which a double keeps 53 bits.
 *
 * Integers beyond `Number.MAX_SAFE_INTEGER` are read as `BigInt`, and a `BigInt` is written as a number. Everything
 * else is `JSON.parse` and `JSON.stringify`.
 */

const LONG_INTEGER = /[:[,]\s*-?\d{16,}/;
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const INTEGER = /^-?\d{16,}$/;
// No text of a person begins with it; only texts with a long integer are looked at for it at all.
const MARK = "\u0000integer:";
const WRITTEN_MARK = /"\\u0000integer:(-?\d+)"/g;

/**
 * @param {string} text
 * @returns {any}
 * @throws {SyntaxError} it is no JSON
 */
export function parseJson(text) {
  if (!LONG_INTEGER.test(text)) return JSON.parse(text);
  const marked = text.replace(TOKEN, (token) => {
    const isUnsafe = INTEGER.test(token) && !Number.isSafeInteger(Number(token));
    return isUnsafe ? JSON.stringify(MARK + token) : token;
  });
  return JSON.parse(marked, (_key, value) => {
    return typeof value === "string" && value.startsWith(MARK) ? BigInt(value.slice(MARK.length)) : value;
  });
}

/**
 * @param {unknown} value
 * @returns {string}
 */
export function writeJson(value) {
  let hasBig = false;
  const text = JSON.stringify(value, (_key, item) => {
    if (typeof item !== "bigint") return item;
    hasBig = true;
    return MARK + item;
  });
  return hasBig ? text.replace(WRITTEN_MARK, "$1") : text;
}
