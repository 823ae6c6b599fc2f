/**
 * Which part of a picture is seen, and how large. Pure: what is on the screen at (sx, sy) is at ((sx - x) / zoom,
 * (sy - y) / zoom) in the picture.
 */

/**
 * @typedef {object} Viewport
 * @property {number} zoom - screen pixels (those of CSS) to a pixel of the picture.
 * @property {number} x - where the picture's left edge is on the screen, in px.
 * @property {number} y - likewise its top edge.
 *
 * @typedef {object} Size
 * @property {number} width - in px, above 0.
 * @property {number} height
 *
 * @typedef {object} Point
 * @property {number} x
 * @property {number} y
 *
 * @typedef {object} Sides - What is added around a picture, in its pixels.
 * @property {number} left
 * @property {number} top
 * @property {number} right
 * @property {number} bottom
 */

/** The largest zoom. */
export const CLOSEST = 32;
/** A small picture is not shown larger than this to fill the screen. */
const FULLEST = 3;
/** How much of the picture, in screen pixels, cannot be moved out of sight. */
const KEPT_PX = 48;

/** @type {Sides} */
export const NO_SIDES = Object.freeze({ left: 0, top: 0, right: 0, bottom: 0 });

/**
 * @param {Size} picture
 * @param {Size} view
 * @param {{margin?: number, sides?: Sides}} [options] - `margin` in screen px on every side.
 * @returns {Viewport} in which all of the picture, and what is to be added to it, is seen in the middle.
 */
export function fitted(picture, view, { margin = 16, sides = NO_SIDES } = {}) {
  const width = picture.width + sides.left + sides.right;
  const height = picture.height + sides.top + sides.bottom;
  const room = { width: Math.max(1, view.width - 2 * margin), height: Math.max(1, view.height - 2 * margin) };
  const zoom = Math.min(room.width / width, room.height / height, FULLEST);
  return {
    zoom,
    x: (view.width - width * zoom) / 2 + sides.left * zoom,
    y: (view.height - height * zoom) / 2 + sides.top * zoom,
  };
}

/**
 * Zoom so that the pixel under a point of the screen stays there.
 *
 * @param {Viewport} viewport
 * @param {number} factor - above 1: closer.
 * @param {Point} at - on the screen.
 * @param {number} farthest - the smallest zoom.
 * @returns {Viewport}
 */
export function zoomedAt(viewport, factor, at, farthest) {
  const zoom = Math.min(CLOSEST, Math.max(farthest, viewport.zoom * factor));
  const by = zoom / viewport.zoom;
  return { zoom, x: at.x - (at.x - viewport.x) * by, y: at.y - (at.y - viewport.y) * by };
}

/**
 * @param {Viewport} viewport
 * @param {number} dx - in screen px; what is seen moves to the right.
 * @param {number} dy
 * @returns {Viewport}
 */
export function moved(viewport, dx, dy) {
  return { ...viewport, x: viewport.x + dx, y: viewport.y + dy };
}

/**
 * @param {Viewport} viewport
 * @param {Size} picture
 * @param {Size} view
 * @returns {Viewport} moved back as far as needed for a part of the picture to be in sight.
 */
export function inSight(viewport, picture, view) {
  const within = (/** @type {number} */ start, /** @type {number} */ length, /** @type {number} */ room) => {
    const kept = Math.min(KEPT_PX, length, room);
    return Math.min(room - kept, Math.max(kept - length, start));
  };
  return {
    zoom: viewport.zoom,
    x: within(viewport.x, picture.width * viewport.zoom, view.width),
    y: within(viewport.y, picture.height * viewport.zoom, view.height),
  };
}

/**
 * @param {Viewport} viewport
 * @param {Point} point - on the screen.
 * @returns {Point} in the picture; the middle of its first pixel is (0.5, 0.5).
 */
export function toPicture({ zoom, x, y }, point) {
  return { x: (point.x - x) / zoom, y: (point.y - y) / zoom };
}

/**
 * @param {Viewport} viewport
 * @param {Point} point - in the picture.
 * @returns {Point} on the screen.
 */
export function toScreen({ zoom, x, y }, point) {
  return { x: point.x * zoom + x, y: point.y * zoom + y };
}
