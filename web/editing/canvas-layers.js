/**
 * The three drawings of the canvas, one upon another: the picture, what is masked, and marks. Each is of the size of
 * what is seen, so a picture of any size costs no more to draw than the screen.
 */

import { h } from "../dom.js";
import { drawMarks } from "./marks.js";
import { shared } from "./rect.js";

/**
 * @typedef {import("./mask-layer.js").MaskLayer} MaskLayer
 * @typedef {import("./picture.js").Picture} Picture
 * @typedef {import("./rect.js").Rect} Rect
 * @typedef {import("./viewport.js").Size} Size
 * @typedef {import("./viewport.js").Viewport} Viewport
 *
 * @typedef {object} Before - A picture to compare with.
 * @property {Picture} picture
 * @property {Rect} place - where it is in the other.
 * @property {number} splitPx - left of this it is seen, on the screen.
 */

/** More pixels than this to one of CSS cost time, and nobody sees them in a picture. */
const SHARPEST = 2;
const CHECK_PX = 8;

export class CanvasLayers {
  #picture = _canvas();
  #mask = _canvas();
  #marks = _canvas();
  #scale = 1;

  /** @returns {HTMLCanvasElement[]} the lowest first. */
  get elements() {
    return [this.#picture, this.#mask, this.#marks];
  }

  /** @param {Size} view - in px of CSS. They are empty afterwards. */
  resize({ width, height }) {
    this.#scale = Math.min(SHARPEST, devicePixelRatio);
    for (const canvas of this.elements) {
      canvas.width = Math.round(width * this.#scale);
      canvas.height = Math.round(height * this.#scale);
    }
  }

  /**
   * @param {Picture | null} picture
   * @param {Viewport} viewport
   * @param {Before | null} before
   */
  drawPicture(picture, viewport, before) {
    const context = _context(this.#picture);
    const { width, height } = this.#picture;
    context.clearRect(0, 0, width, height);
    if (picture === null) return;
    const inner = this.#inner(viewport);
    this.#drawOne(context, picture, inner);
    if (before === null) return;
    const { place } = before;
    context.save();
    context.beginPath();
    context.rect(0, 0, before.splitPx * this.#scale, height);
    context.clip();
    context.clearRect(0, 0, width, height);
    const zoom = (inner.zoom * place.width) / before.picture.width;
    this.#drawOne(context, before.picture, { zoom, x: inner.x + place.x * inner.zoom, y: inner.y + place.y * inner.zoom });
    context.restore();
  }

  /**
   * @param {readonly MaskLayer[]} layers
   * @param {Viewport} viewport
   * @param {Rect | null} part - of the mask, that is to be drawn anew; null is all of it.
   */
  drawMask(layers, viewport, part) {
    const context = _context(this.#mask);
    const { width, height } = this.#mask;
    const inner = this.#inner(viewport);
    const seen = { x: -inner.x / inner.zoom, y: -inner.y / inner.zoom, width: width / inner.zoom, height: height / inner.zoom };
    context.save();
    context.beginPath();
    if (part === null) context.rect(0, 0, width, height);
    else {
      // What is drawn smaller mixes neighbours: one more pixel of the canvas on every side.
      const left = Math.floor(inner.x + part.x * inner.zoom) - 1;
      const top = Math.floor(inner.y + part.y * inner.zoom) - 1;
      context.rect(left, top, Math.ceil(part.width * inner.zoom) + 3, Math.ceil(part.height * inner.zoom) + 3);
    }
    context.clip();
    context.clearRect(0, 0, width, height);
    const more = 2 / inner.zoom;
    const wide = part === null ? seen : { x: part.x - more, y: part.y - more, width: part.width + 2 * more, height: part.height + 2 * more };
    const visible = shared(wide, seen);
    if (visible !== null) for (const layer of layers) layer.draw(context, inner, visible);
    context.restore();
  }

  /**
   * @param {import("./marks.js").Marks | null} marks
   * @param {Viewport} viewport
   */
  drawMarks(marks, viewport) {
    const context = _context(this.#marks);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.#marks.width, this.#marks.height);
    if (marks === null || (marks.points.length === 0 && marks.boxes.length === 0 && marks.rectangle === null)) return;
    context.setTransform(this.#scale, 0, 0, this.#scale, 0, 0);
    drawMarks(context, viewport, marks);
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {Picture} picture
   * @param {Viewport} inner
   */
  #drawOne(context, picture, inner) {
    if (picture.hasAlpha) {
      context.fillStyle = _checks(context, CHECK_PX * this.#scale);
      context.fillRect(inner.x, inner.y, picture.width * inner.zoom, picture.height * inner.zoom);
    }
    picture.draw(context, inner, this.#picture);
  }

  /**
   * @param {Viewport} viewport
   * @returns {Viewport} in pixels of the canvases.
   */
  #inner({ zoom, x, y }) {
    return { zoom: zoom * this.#scale, x: x * this.#scale, y: y * this.#scale };
  }
}

/** @returns {HTMLCanvasElement} that assistive technology does not see: what it is in has a name. */
function _canvas() {
  return h("canvas", { "aria-hidden": "true" });
}

/**
 * @param {HTMLCanvasElement} canvas
 * @returns {CanvasRenderingContext2D}
 */
function _context(canvas) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} px - side of a check.
 * @returns {CanvasPattern | string} what stands for transparency.
 */
function _checks(context, px) {
  const tile = new OffscreenCanvas(2 * px, 2 * px);
  const inner = /** @type {OffscreenCanvasRenderingContext2D} */ (tile.getContext("2d"));
  inner.fillStyle = "#d8d8d8";
  inner.fillRect(0, 0, 2 * px, 2 * px);
  inner.fillStyle = "#f4f4f4";
  inner.fillRect(0, 0, px, px);
  inner.fillRect(px, px, px, px);
  return context.createPattern(/** @type {any} */ (tile), "repeat") ?? "#e6e6e6";
}
