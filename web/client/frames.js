/**
 * Frames of the subprotocol `safelight.v1.json`: text is a message as JSON; binary is an event with bytes, namely a
 * 4-byte big-endian length, that many bytes of JSON, and the image.
 */

import { parseJson } from "./json.js";

const MAX_HEADER_BYTES = 64 * 1024;
const LENGTH_BYTES = 4;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * @param {string | ArrayBuffer} frame
 * @returns {Record<string, any>} a reply, or an event; the image of a preview is its `data.bytes`
 * @throws {Error} it cannot be read
 */
export function decodeFrame(frame) {
  const message = typeof frame === "string" ? parseJson(frame) : unpack(frame);
  if (typeof message !== "object" || message === null || typeof message.type !== "string") {
    throw new TypeError("a frame that is no message");
  }
  return message;
}

/** @param {ArrayBuffer} frame */
function unpack(frame) {
  if (frame.byteLength < LENGTH_BYTES) throw new TypeError("a binary frame without its header length");
  const length = new DataView(frame).getUint32(0);
  const end = LENGTH_BYTES + length;
  if (length > MAX_HEADER_BYTES || end > frame.byteLength) {
    throw new TypeError(`a binary frame of ${frame.byteLength} bytes with a header of ${length}`);
  }
  const message = parseJson(utf8.decode(new Uint8Array(frame, LENGTH_BYTES, length)));
  // A view, not a copy: the frame has no other use.
  return { ...message, data: { ...message.data, bytes: new Uint8Array(frame, end) } };
}
