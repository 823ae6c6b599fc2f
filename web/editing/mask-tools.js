/** What the tools do to a mask, whether a pointer leads them or the keyboard. All points are in the picture. */

import { between, shared } from "./rect.js";

/**
 * @typedef {import("./mask.js").Mask} Mask
 * @typedef {import("./rect.js").Rect} Rect
 * @typedef {import("./viewport.js").Point} Point
 * @typedef {"brush" | "eraser" | "rectangle" | "object" | "text" | "hand"} Tool
 *
 * @typedef {object} Listener
 * @property {(rect: Rect | null) => void} touched - pixels of the mask have changed.
 * @property {() => void} masked - a change is complete.
 * @property {(rect: Rect | null) => void} outlined - the rectangle that is being drawn.
 * @property {(point: Point, isOther: boolean) => void} clicked - with a tool that draws nothing.
 */

export class MaskTools {
  /** @type {Mask | null} */
  mask = null;
  /** @type {Tool} */
  tool = "brush";
  /** Across, in pixels of the picture. */
  brushPx = 40;
  /** What is being painted. @type {0 | 1 | null} */
  #value = null;
  /** @type {Point} */
  #last = { x: 0, y: 0 };
  /** The first corner of a rectangle. @type {Point | null} */
  #corner = null;

  /** @param {Listener} listener */
  constructor(listener) {
    this.listener = listener;
  }

  get isBrush() {
    return this.tool === "brush" || this.tool === "eraser";
  }

  /** Whether something was begun and is not complete. */
  get isDown() {
    return this.#value !== null;
  }

  /**
   * @param {Point} point
   * @param {boolean} isOther - take away rather than add.
   */
  begin(point, isOther) {
    if (this.mask === null || !(this.isBrush || this.tool === "rectangle")) return;
    this.#value = isOther || this.tool === "eraser" ? 0 : 1;
    this.#last = point;
    if (this.tool === "rectangle") this.#corner = point;
    else {
      this.mask.history.begin();
      this.listener.touched(this.mask.line(point, point, this.brushPx / 2, this.#value));
    }
  }

  /** @param {Point} point */
  follow(point) {
    if (this.#value === null || this.mask === null) return;
    if (this.#corner !== null) this.listener.outlined(shared(between(this.#corner, point), this.mask.bounds));
    else this.listener.touched(this.mask.line(this.#last, point, this.brushPx / 2, this.#value));
    this.#last = point;
  }

  /**
   * @param {Point} point
   * @param {boolean} isOther
   */
  end(point, isOther) {
    const value = this.#value;
    const corner = this.#corner;
    this.#value = null;
    this.#corner = null;
    if (value === null) {
      this.listener.clicked(point, isOther);
      return;
    }
    if (corner === null) {
      this.mask?.history.commit();
      this.listener.masked();
      return;
    }
    this.listener.outlined(null);
    this.change((mask) => mask.rectangle(between(corner, point), value));
  }

  /** @returns {boolean} whether anything had been begun; it is taken back. */
  drop() {
    if (this.#value === null) return false;
    this.#value = null;
    this.#corner = null;
    this.listener.touched(this.mask?.history.rollback() ?? null);
    this.listener.outlined(null);
    return true;
  }

  /**
   * Change the mask as a whole; it can be undone.
   *
   * @param {(mask: Mask) => Rect | null} change
   */
  change(change) {
    if (this.mask === null) return;
    this.drop();
    this.mask.history.begin();
    this.listener.touched(change(this.mask));
    this.mask.history.commit();
    this.listener.masked();
  }

  /** @param {"undo" | "redo"} way */
  travel(way) {
    if (this.mask === null) return;
    this.drop();
    this.listener.touched(this.mask.history[way]());
    this.listener.masked();
  }
}
