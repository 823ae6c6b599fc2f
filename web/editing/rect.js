/** Rectangles in whole pixels, origin top left. */

/**
 * @typedef {object} Rect
 * @property {number} x
 * @property {number} y
 * @property {number} width
 * @property {number} height
 */

/**
 * @param {Rect | null} one
 * @param {Rect | null} other
 * @returns {Rect | null} the smallest around both; null is nothing.
 */
export function around(one, other) {
  if (one === null || other === null) return one ?? other;
  const x = Math.min(one.x, other.x);
  const y = Math.min(one.y, other.y);
  const width = Math.max(one.x + one.width, other.x + other.width) - x;
  const height = Math.max(one.y + one.height, other.y + other.height) - y;
  return { x, y, width, height };
}

/**
 * @param {Rect} one
 * @param {Rect} other
 * @returns {Rect | null} what both cover.
 */
export function shared(one, other) {
  const x = Math.max(one.x, other.x);
  const y = Math.max(one.y, other.y);
  const width = Math.min(one.x + one.width, other.x + other.width) - x;
  const height = Math.min(one.y + one.height, other.y + other.height) - y;
  return width > 0 && height > 0 ? { x, y, width, height } : null;
}

/**
 * @param {{x: number, y: number}} corner
 * @param {{x: number, y: number}} opposite
 * @returns {Rect} every pixel that the rectangle between two points touches.
 */
export function between(corner, opposite) {
  const x = Math.floor(Math.min(corner.x, opposite.x));
  const y = Math.floor(Math.min(corner.y, opposite.y));
  const width = Math.max(1, Math.ceil(Math.max(corner.x, opposite.x)) - x);
  const height = Math.max(1, Math.ceil(Math.max(corner.y, opposite.y)) - y);
  return { x, y, width, height };
}

/**
 * @param {Rect} rect
 * @param {{x: number, y: number}} point
 * @returns {boolean}
 */
export function contains(rect, { x, y }) {
  return x >= rect.x && y >= rect.y && x < rect.x + rect.width && y < rect.y + rect.height;
}
