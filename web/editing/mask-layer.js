/** Shows a mask over a picture, in tiles: of a large mask no more is drawn than what has changed and can be seen. */

import { shared } from "./rect.js";

/**
 * @typedef {import("./rect.js").Rect} Rect
 * @typedef {[number, number, number, number]} Colour - red, green, blue and opacity, each 0..255.
 */

const TILE_PX = 512;
/** Each tile has a smaller copy, which is drawn where the mask is seen from afar: there are fewer pixels to read. */
const COARSE = 4;
const AFAR = 1.5 / COARSE;

/**
 * @typedef {object} Tile
 * @property {CanvasRenderingContext2D} fine
 * @property {CanvasRenderingContext2D} coarse
 * @property {boolean} isStale - the smaller copy is not of what is there now.
 */

export class MaskLayer {
  /** @type {Map<number, Tile>} */
  #tiles = new Map();

  /**
   * @param {import("./mask.js").Mask} mask
   * @param {Colour} colour
   */
  constructor(mask, [red, green, blue, opacity]) {
    this.mask = mask;
    this.across = Math.ceil(mask.width / TILE_PX);
    // As its four bytes lie in memory.
    this.colour = /** @type {number} */ (new Uint32Array(Uint8Array.of(red, green, blue, opacity).buffer)[0]);
    this.update(mask.bounds);
  }

  /**
   * Take over what has changed.
   *
   * @param {Rect | null} rect - in the mask.
   */
  update(rect) {
    if (rect === null) return;
    for (const [number, tile] of this.#overlapping(rect)) {
      const part = /** @type {Rect} */ (shared(tile, rect));
      if (!this.#tiles.has(number) && !this.#isAnything(part)) continue;
      this.#write(this.#tile(number, tile), tile, part);
    }
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {import("./viewport.js").Viewport} viewport - in pixels of the canvas.
   * @param {Rect} part - of the mask.
   */
  draw(context, { zoom, x, y }, part) {
    context.imageSmoothingEnabled = zoom < 1;
    for (const [number, tile] of this.#overlapping(part)) {
      const pixels = this.#tiles.get(number);
      if (pixels === undefined) continue;
      const { canvas } = zoom < AFAR ? _coarse(pixels) : pixels.fine;
      // Whole pixels of the canvas, so that there is no seam between two tiles.
      const left = Math.round(x + tile.x * zoom);
      const top = Math.round(y + tile.y * zoom);
      const right = Math.round(x + (tile.x + tile.width) * zoom);
      const bottom = Math.round(y + (tile.y + tile.height) * zoom);
      context.drawImage(canvas, left, top, right - left, bottom - top);
    }
  }

  /**
   * @param {Rect} rect
   * @returns {Generator<[number, Rect]>}
   */
  *#overlapping(rect) {
    const part = shared(rect, this.mask.bounds);
    if (part === null) return;
    const right = Math.floor((part.x + part.width - 1) / TILE_PX);
    const bottom = Math.floor((part.y + part.height - 1) / TILE_PX);
    for (let row = Math.floor(part.y / TILE_PX); row <= bottom; row += 1) {
      for (let column = Math.floor(part.x / TILE_PX); column <= right; column += 1) {
        const whole = { x: column * TILE_PX, y: row * TILE_PX, width: TILE_PX, height: TILE_PX };
        yield [row * this.across + column, /** @type {Rect} */ (shared(whole, this.mask.bounds))];
      }
    }
  }

  /**
   * @param {number} number
   * @param {Rect} tile
   * @returns {Tile}
   */
  #tile(number, { width, height }) {
    let tile = this.#tiles.get(number);
    if (tile === undefined) {
      tile = { fine: _context(width, height), coarse: _context(Math.ceil(width / COARSE), Math.ceil(height / COARSE)), isStale: true };
      this.#tiles.set(number, tile);
    }
    tile.isStale = true;
    return tile;
  }

  /**
   * @param {Tile} pixels
   * @param {Rect} tile
   * @param {Rect} part
   */
  #write({ fine }, tile, part) {
    const image = fine.createImageData(part.width, part.height);
    const colours = new Uint32Array(image.data.buffer);
    const { pixels, width } = this.mask;
    for (let row = 0; row < part.height; row += 1) {
      const start = (part.y + row) * width + part.x;
      const to = row * part.width;
      for (let column = 0; column < part.width; column += 1) if (pixels[start + column] === 1) colours[to + column] = this.colour;
    }
    fine.putImageData(image, part.x - tile.x, part.y - tile.y);
  }

  /** @param {Rect} part */
  #isAnything(part) {
    for (let row = part.y; row < part.y + part.height; row += 1) {
      const start = row * this.mask.width + part.x;
      if (this.mask.pixels.subarray(start, start + part.width).includes(1)) return true;
    }
    return false;
  }
}

/**
 * @param {Tile} tile
 * @returns {CanvasRenderingContext2D} of its smaller copy, as it is now.
 */
function _coarse(tile) {
  const { fine, coarse } = tile;
  if (tile.isStale) {
    coarse.clearRect(0, 0, coarse.canvas.width, coarse.canvas.height);
    coarse.drawImage(fine.canvas, 0, 0, coarse.canvas.width, coarse.canvas.height);
    tile.isStale = false;
  }
  return coarse;
}

/**
 * @param {number} width
 * @param {number} height
 * @returns {CanvasRenderingContext2D}
 */
function _context(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  // Pixels come from a script: in the memory of a graphics card they would have to be fetched at each change.
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
}
