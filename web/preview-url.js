/** Addresses of previews, which an `<img>` can show without a frame in which it shows nothing. */

/**
 * @param {import("./state.js").Preview} preview
 * @returns {Promise<string>} once it is decoded; whoever has it revokes it.
 * @throws {DOMException} it is no picture.
 */
export async function previewUrl({ bytes, mediaType }) {
  const url = URL.createObjectURL(new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (bytes)], { type: mediaType }));
  try {
    await decoded(url);
    return url;
  } catch (error) {
    URL.revokeObjectURL(url);
    throw error;
  }
}

/**
 * Wait until a picture can be painted at once.
 *
 * @param {string} url
 * @throws {DOMException} it cannot be had, or is no picture.
 */
export async function decoded(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
}
