/** What a mask was before each change: kept tile by tile, so that a small stroke in a large picture costs little. */

import { around, shared } from "./rect.js";

/**
 * @typedef {import("./mask.js").Mask} Mask
 * @typedef {import("./rect.js").Rect} Rect
 * @typedef {Map<number, Uint8Array | number>} Tiles - number of a tile -> its pixels, or the one value of all of them.
 */

const TILE_PX = 256;
const MOST_CHANGES = 200;
const MOST_BYTES = 96 * 1024 * 1024;

export class MaskHistory {
  /** @type {Tiles[]} */
  #past = [];
  /** @type {Tiles[]} */
  #future = [];
  /** @type {Tiles | null} */
  #open = null;

  /** @param {Mask} mask */
  constructor(mask) {
    this.mask = mask;
    this.across = Math.ceil(mask.width / TILE_PX);
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  /** Begin a change, which may be made in many pieces. */
  begin() {
    this.#open ??= new Map();
  }

  /** End the change. One that touched nothing is none. */
  commit() {
    const tiles = this.#open;
    this.#open = null;
    if (tiles === null || tiles.size === 0) return;
    this.#past.push(tiles);
    this.#future = [];
    let bytes = 0;
    for (let index = this.#past.length - 1; index >= 0; index -= 1) {
      for (const tile of /** @type {Tiles} */ (this.#past[index]).values()) bytes += typeof tile === "number" ? 8 : tile.length;
      if (bytes > MOST_BYTES || this.#past.length - index > MOST_CHANGES) {
        this.#past.splice(0, index + 1);
        return;
      }
    }
  }

  /**
   * Take back what the open change has done.
   *
   * @returns {Rect | null} what it had touched.
   */
  rollback() {
    const tiles = this.#open;
    this.#open = null;
    return tiles === null ? null : this.#swap(tiles).touched;
  }

  /** @returns {Rect | null} what has changed. */
  undo() {
    return this.#move(this.#past, this.#future);
  }

  /** @returns {Rect | null} what has changed. */
  redo() {
    return this.#move(this.#future, this.#past);
  }

  /**
   * Called before pixels are changed.
   *
   * @param {Rect} rect - inside the mask.
   */
  keep(rect) {
    if (this.#open === null) return;
    const right = Math.floor((rect.x + rect.width - 1) / TILE_PX);
    const bottom = Math.floor((rect.y + rect.height - 1) / TILE_PX);
    for (let row = Math.floor(rect.y / TILE_PX); row <= bottom; row += 1) {
      for (let column = Math.floor(rect.x / TILE_PX); column <= right; column += 1) {
        const number = row * this.across + column;
        if (!this.#open.has(number)) this.#open.set(number, this.#read(number));
      }
    }
  }

  /**
   * @param {Tiles[]} from
   * @param {Tiles[]} to
   */
  #move(from, to) {
    const tiles = from.pop();
    if (tiles === undefined) return null;
    const { now, touched } = this.#swap(tiles);
    to.push(now);
    return touched;
  }

  /** @param {Tiles} tiles */
  #swap(tiles) {
    /** @type {Tiles} */
    const now = new Map();
    /** @type {Rect | null} */
    let touched = null;
    for (const [number, pixels] of tiles) {
      now.set(number, this.#read(number));
      this.#write(number, pixels);
      touched = around(touched, this.#rect(number));
    }
    this.mask.changed();
    return { now, touched };
  }

  /**
   * @param {number} number
   * @returns {Rect}
   */
  #rect(number) {
    const x = (number % this.across) * TILE_PX;
    const y = Math.floor(number / this.across) * TILE_PX;
    return /** @type {Rect} */ (shared({ x, y, width: TILE_PX, height: TILE_PX }, this.mask.bounds));
  }

  /**
   * @param {number} number
   * @returns {Uint8Array | number}
   */
  #read(number) {
    const { x, y, width, height } = this.#rect(number);
    const pixels = new Uint8Array(width * height);
    for (let row = 0; row < height; row += 1) {
      const start = (y + row) * this.mask.width + x;
      pixels.set(this.mask.pixels.subarray(start, start + width), row * width);
    }
    const first = /** @type {number} */ (pixels[0]);
    return pixels.includes(first ^ 1) ? pixels : first;
  }

  /**
   * @param {number} number
   * @param {Uint8Array | number} pixels
   */
  #write(number, pixels) {
    const { x, y, width, height } = this.#rect(number);
    for (let row = 0; row < height; row += 1) {
      const start = (y + row) * this.mask.width + x;
      if (typeof pixels === "number") this.mask.pixels.fill(pixels, start, start + width);
      else this.mask.pixels.set(pixels.subarray(row * width, (row + 1) * width), start);
    }
  }
}
