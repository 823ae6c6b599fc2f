/**
 * Masks as files: written as PNG with one bit a pixel, read from whatever the server sends.
 *
 * Source of the format: Portable Network Graphics (PNG) Specification, third edition, W3C.
 */

import { Mask } from "./mask.js";

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let crc = index;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1;
  return crc >>> 0;
});

/**
 * @param {Mask} mask
 * @returns {Promise<Blob>} grey, 1 bit: white is 1.
 */
export async function writeMask(mask) {
  const { width, height, pixels } = mask;
  const rowBytes = 1 + Math.ceil(width / 8);
  const rows = new Uint8Array(rowBytes * height);
  for (let y = 0; y < height; y += 1) {
    const row = pixels.subarray(y * width, (y + 1) * width);
    if (!row.includes(1)) continue;
    const start = y * rowBytes + 1;
    for (let x = 0; x < width; x += 1) {
      if (row[x] === 1) rows[start + (x >> 3)] = /** @type {number} */ (rows[start + (x >> 3)]) | (0x80 >> (x & 7));
    }
  }
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 1); // bits a pixel; the rest is 0: grey, deflate, no filters chosen by row, not interlaced
  const packed = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
  const data = new Uint8Array(await new Response(packed).arrayBuffer());
  const parts = [SIGNATURE, _chunk("IHDR", new Uint8Array(header.buffer)), _chunk("IDAT", data), _chunk("IEND", new Uint8Array())];
  return new Blob(parts, { type: "image/png" });
}

/**
 * @param {Blob} file
 * @returns {Promise<Mask>} 1 where the picture is light.
 */
export async function readMask(file) {
  const bitmap = await createImageBitmap(file);
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  const mask = new Mask(width, height);
  for (let index = 0; index < mask.pixels.length; index += 1) mask.pixels[index] = /** @type {number} */ (data[index * 4]) >> 7;
  mask.changed();
  return mask;
}

/**
 * @param {string} name
 * @param {Uint8Array<ArrayBuffer>} data
 * @returns {Uint8Array<ArrayBuffer>}
 */
function _chunk(name, data) {
  const chunk = new Uint8Array(12 + data.length);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, data.length);
  for (let index = 0; index < 4; index += 1) chunk[4 + index] = name.charCodeAt(index);
  chunk.set(data, 8);
  let crc = 0xffffffff;
  for (const byte of chunk.subarray(4, 8 + data.length)) {
    crc = /** @type {number} */ (CRC_TABLE[(crc ^ byte) & 0xff]) ^ (crc >>> 8);
  }
  view.setUint32(8 + data.length, (crc ^ 0xffffffff) >>> 0);
  return chunk;
}
