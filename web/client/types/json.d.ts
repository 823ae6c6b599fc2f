/**
 * JSON whose whole numbers stay whole: a seed may be as large as 2^63 - 1, of which a double keeps 53 bits.
 *
 * Integers beyond `Number.MAX_SAFE_INTEGER` are read as `BigInt`, and a `BigInt` is written as a number. Everything
 * else is `JSON.parse` and `JSON.stringify`.
 */
/**
 * @param {string} text
 * @returns {any}
 * @throws {SyntaxError} it is no JSON
 */
export declare function parseJson(text: string): any;
/**
 * @param {unknown} value
 * @returns {string}
 */
export declare function writeJson(value: unknown): string;
