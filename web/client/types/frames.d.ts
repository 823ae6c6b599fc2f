/**
 * Frames of the subprotocol `safelight.v1.json`: text is a message as JSON; binary is an event with bytes, namely a
 * 4-byte big-endian length, that many bytes of JSON, and the image.
 */
/**
 * @param {string | ArrayBuffer} frame
 * @returns {Record<string, any>} a reply, or an event; the image of a preview is its `data.bytes`
 * @throws {Error} it cannot be read
 */
export declare function decodeFrame(frame: string | ArrayBuffer): Record<string, any>;
