/**
 * What is to be changed in a picture: one byte for each of its pixels, 1 is changed, 0 is kept. No DOM.
 *
 * Every change answers with the rectangle it may have touched, or null, so that no more than that is drawn anew.
 */

import { MaskHistory } from "./mask-history.js";
import { around, shared } from "./rect.js";

/**
 * @typedef {import("./rect.js").Rect} Rect
 * @typedef {import("./viewport.js").Point} Point
 */

/** Below this a brush could fall between the middles of four pixels, and paint none. */
const LEAST_RADIUS = 0.71;

export class Mask {
  #area = 0;
  #isCounted = true;

  /**
   * @param {number} width - in px.
   * @param {number} height
   */
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.pixels = new Uint8Array(width * height);
    this.history = new MaskHistory(this);
  }

  /** @returns {Rect} */
  get bounds() {
    return { x: 0, y: 0, width: this.width, height: this.height };
  }

  /** @returns {number} how many pixels are 1. */
  get area() {
    if (!this.#isCounted) {
      let area = 0;
      for (let index = 0; index < this.pixels.length; index += 1) area += /** @type {number} */ (this.pixels[index]);
      this.#area = area;
      this.#isCounted = true;
    }
    return this.#area;
  }

  get isEmpty() {
    return this.area === 0;
  }

  /** @returns {Rect | null} the smallest around what is 1. */
  get box() {
    const { width, height, pixels } = this;
    let box = /** @type {Rect | null} */ (null);
    for (let y = 0; y < height; y += 1) {
      const row = pixels.subarray(y * width, (y + 1) * width);
      const first = row.indexOf(1);
      if (first !== -1) box = around(box, { x: first, y, width: row.lastIndexOf(1) - first + 1, height: 1 });
    }
    return box;
  }

  /**
   * @param {Rect} rect - inside it.
   * @returns {Mask} that part of it.
   */
  part(rect) {
    const part = new Mask(rect.width, rect.height);
    for (let y = 0; y < rect.height; y += 1) {
      const start = (rect.y + y) * this.width + rect.x;
      part.pixels.set(this.pixels.subarray(start, start + rect.width), y * rect.width);
    }
    part.changed();
    return part;
  }

  /** @returns {Mask} the same, without what it was before. */
  copy() {
    return this.part(this.bounds);
  }

  /** Say that the pixels were changed from outside. */
  changed() {
    this.#isCounted = false;
  }

  /**
   * A stroke of a round brush: everything nearer to the line than its radius.
   *
   * @param {Point} from
   * @param {Point} to
   * @param {number} radius - in px.
   * @param {0 | 1} value
   * @returns {Rect | null}
   */
  line(from, to, radius, value) {
    const r = Math.max(LEAST_RADIUS, radius);
    const length = Math.hypot(to.x - from.x, to.y - from.y);
    // Across the line, as long as the radius: the sides of the stroke are the line moved by this.
    const across = length === 0 ? { x: 0, y: 0 } : { x: (-(to.y - from.y) / length) * r, y: ((to.x - from.x) / length) * r };
    const corners = [
      { x: from.x + across.x, y: from.y + across.y },
      { x: to.x + across.x, y: to.y + across.y },
      { x: to.x - across.x, y: to.y - across.y },
      { x: from.x - across.x, y: from.y - across.y },
    ];
    const top = Math.min(from.y, to.y) - r;
    const left = Math.min(from.x, to.x) - r;
    const box = {
      x: Math.floor(left),
      y: Math.floor(top),
      width: Math.ceil(Math.max(from.x, to.x) + r) - Math.floor(left) + 1,
      height: Math.ceil(Math.max(from.y, to.y) + r) - Math.floor(top) + 1,
    };
    return this.#change(box, (part) => {
      for (let row = part.y; row < part.y + part.height; row += 1) {
        const [start, end] = _span(row + 0.5, [from, to], r, corners);
        this.#fill(row, start, end, value);
      }
    });
  }

  /**
   * @param {Rect} rect
   * @param {0 | 1} value
   * @returns {Rect | null}
   */
  rectangle(rect, value) {
    return this.#change(rect, (part) => {
      for (let row = part.y; row < part.y + part.height; row += 1) this.#fill(row, part.x + 0.5, part.x + part.width - 0.5, value);
    });
  }

  /**
   * Set everything.
   *
   * @param {0 | 1} value
   * @returns {Rect | null}
   */
  cover(value) {
    return this.#change(this.bounds, () => this.pixels.fill(value));
  }

  /** @returns {Rect | null} */
  invert() {
    return this.#change(this.bounds, () => {
      // Four pixels at a time, then the rest.
      const words = new Uint32Array(this.pixels.buffer, 0, this.pixels.length >> 2);
      for (let index = 0; index < words.length; index += 1) words[index] = /** @type {number} */ (words[index]) ^ 0x01010101;
      for (let index = words.length * 4; index < this.pixels.length; index += 1) this.pixels[index] = /** @type {number} */ (this.pixels[index]) ^ 1;
    });
  }

  /**
   * Add what another mask of the same size covers, or take it away.
   *
   * @param {Mask} other
   * @param {0 | 1} value
   * @param {readonly Rect[]} [parts] - only what lies in any of these counts.
   * @returns {Rect | null}
   */
  merge(other, value, parts = [this.bounds]) {
    let touched = /** @type {Rect | null} */ (null);
    for (const each of parts) {
      const done = this.#change(each, (part) => {
        for (let row = part.y; row < part.y + part.height; row += 1) {
          const end = row * this.width + part.x + part.width;
          for (let index = row * this.width + part.x; index < end; index += 1) {
            if (other.pixels[index] === 1) this.pixels[index] = value;
          }
        }
      });
      touched = around(touched, done);
    }
    return touched;
  }

  /**
   * Move the edge outwards, or inwards: by a disc. The edge of the picture is no edge of the mask.
   *
   * @param {number} px - whole; below 0 the mask becomes smaller.
   * @returns {Rect | null}
   */
  grow(px) {
    const value = px > 0 ? 1 : 0;
    const reach = Math.abs(px);
    return this.#change(this.bounds, () => {
      const before = this.pixels.slice();
      for (let row = 0; row < this.height; row += 1) {
        const start = row * this.width;
        for (const [first, last] of _runs(before.subarray(start, start + this.width), value)) {
          for (let dy = -reach; dy <= reach; dy += 1) {
            if (row + dy < 0 || row + dy >= this.height) continue;
            const wide = Math.floor(Math.sqrt(reach * reach - dy * dy));
            const from = Math.max(0, first - wide);
            const to = Math.min(this.width, last + wide);
            this.pixels.fill(value, (row + dy) * this.width + from, (row + dy) * this.width + to);
          }
        }
      }
    });
  }

  /**
   * @param {Rect} rect
   * @param {(part: Rect) => void} change - given the part of it that is inside.
   * @returns {Rect | null}
   */
  #change(rect, change) {
    const part = shared(rect, this.bounds);
    if (part === null) return null;
    this.history.keep(part);
    change(part);
    this.changed();
    return part;
  }

  /**
   * @param {number} row
   * @param {number} start - the pixels whose middles lie from here
   * @param {number} end - to here.
   * @param {0 | 1} value
   */
  #fill(row, start, end, value) {
    const first = Math.max(0, Math.ceil(start - 0.5));
    const last = Math.min(this.width - 1, Math.floor(end - 0.5));
    if (last >= first) this.pixels.fill(value, row * this.width + first, row * this.width + last + 1);
  }
}

/**
 * What a stroke covers of a row: of something convex, one piece.
 *
 * @param {number} y - of the row's middle.
 * @param {readonly Point[]} ends - middles of the discs at its ends.
 * @param {number} radius
 * @param {readonly Point[]} corners - of the rectangle between them, in order.
 * @returns {[number, number]}
 */
function _span(y, ends, radius, corners) {
  let start = Infinity;
  let end = -Infinity;
  for (const middle of ends) {
    const half = Math.sqrt(radius * radius - (y - middle.y) ** 2);
    if (Number.isNaN(half)) continue;
    start = Math.min(start, middle.x - half);
    end = Math.max(end, middle.x + half);
  }
  corners.forEach((one, index) => {
    const other = /** @type {Point} */ (corners[(index + 1) % corners.length]);
    if (one.y === other.y || (y - one.y) * (y - other.y) > 0) return;
    const x = one.x + ((y - one.y) * (other.x - one.x)) / (other.y - one.y);
    start = Math.min(start, x);
    end = Math.max(end, x);
  });
  return [start, end];
}

/**
 * @param {Uint8Array} row
 * @param {number} value
 * @returns {Generator<[number, number]>} where pixels of this value begin and end (exclusive).
 */
function* _runs(row, value) {
  for (let first = row.indexOf(value); first !== -1; ) {
    const end = row.indexOf(value ^ 1, first);
    const last = end === -1 ? row.length : end;
    yield [first, last];
    first = row.indexOf(value, last);
  }
}
