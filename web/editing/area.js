/** Which part of a picture is shown to a model that repaints some of it. */

/**
 * @typedef {import("./rect.js").Rect} Rect
 * @typedef {import("./viewport.js").Size} Size
 */

/** What is seen around the mask on every side, as the server's `crop_margin_px`. */
const MARGIN_PX = 32;

/**
 * As the server chooses it by itself. It is asked for by name, so that the page knows where its previews belong.
 *
 * @param {Rect} box - around the mask.
 * @param {Size} picture
 * @returns {Rect} no flatter than 1 to 2, where the picture has the room.
 */
export function areaAround(box, picture) {
  const [left, width] = _grown(box.x - MARGIN_PX, box.width + 2 * MARGIN_PX, 0, picture.width);
  const [top, height] = _grown(box.y - MARGIN_PX, box.height + 2 * MARGIN_PX, 0, picture.height);
  const [x, wide] = _grown(left, width, Math.floor(height / 2), picture.width);
  const [y, high] = _grown(top, height, Math.floor(width / 2), picture.height);
  return { x, y, width: wide, height: high };
}

/**
 * @param {number} start
 * @param {number} length
 * @param {number} least - what it is made at the least, about its middle.
 * @param {number} limit - of the picture.
 * @returns {[number, number]} start and length within the picture.
 */
function _grown(start, length, least, limit) {
  if (length < least) {
    const wanted = Math.min(least, limit);
    return [Math.min(Math.max(0, start - Math.floor((wanted - length) / 2)), limit - wanted), wanted];
  }
  const from = Math.max(0, start);
  return [from, Math.min(limit, start + length) - from];
}
