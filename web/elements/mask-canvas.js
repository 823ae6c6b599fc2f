/**
 * The canvas of the view edit: a picture of any size under a mask that is painted on it.
 *
 * Picture, mask and marks are three canvases of the size of the element; what changes is drawn once a frame, and of the
 * mask only what was touched. Fires `masked` after each change of the mask, `pick` (detail {x, y, include}) for a click
 * on an object, `tick` (detail: number of a box), `seen` when zoom or place change, `sides` when an edge is drawn out,
 * and `compared`.
 */

import { app } from "../app.js";
import { h } from "../dom.js";
import { CanvasKeys } from "../editing/canvas-keys.js";
import { takePointers } from "../editing/canvas-pointers.js";
import { drawMarks } from "../editing/marks.js";
import { MaskLayer } from "../editing/mask-layer.js";
import { around, between, contains, shared } from "../editing/rect.js";
import { fitted, inSight, moved, NO_SIDES, toPicture, toScreen, zoomedAt } from "../editing/viewport.js";
import { number, t } from "../words/words.js";
import { CompareSlider } from "./compare-slider.js";
import { EdgeHandles } from "./edge-handles.js";

/**
 * @typedef {import("../editing/mask.js").Mask} Mask
 * @typedef {import("../editing/picture.js").Picture} Picture
 * @typedef {import("../editing/rect.js").Rect} Rect
 * @typedef {import("../editing/viewport.js").Point} Point
 * @typedef {import("../editing/viewport.js").Sides} Sides
 * @typedef {import("../editing/viewport.js").Viewport} Viewport
 * @typedef {"brush" | "eraser" | "rectangle" | "object" | "text" | "hand"} Tool
 */

/** @type {import("../editing/mask-layer.js").Colour} */
const MASKED = [222, 60, 12, 150];
/** @type {import("../editing/mask-layer.js").Colour} */
const PROPOSED = [16, 132, 222, 160];
/** Room for the handles that draw edges out. */
const EDGE_MARGIN_PX = 72;
const CHECK_PX = 8;
/** The crosshair stays this far from the edges of what is seen. */
const KEPT_PX = 24;

export class MaskCanvas extends HTMLElement {
  #leaving = new AbortController();
  #canvases = { picture: _canvas(), mask: _canvas(), marks: _canvas() };
  #ring = h("div", { className: "edit-ring", hidden: true });
  #cross = h("div", { className: "edit-cross", hidden: true });
  #preview = h("img", { className: "edit-preview", alt: "", hidden: true });
  #edges = new EdgeHandles();
  #slider = new CompareSlider();
  /** @type {CanvasKeys | null} */
  #keys = null;
  #view = { width: 1, height: 1 };
  #scale = 1;
  /** @type {Viewport} */
  #viewport = { zoom: 1, x: 0, y: 0 };
  #isFitted = true;

  /** @type {Picture | null} */
  #picture = null;
  /** @type {Mask | null} */
  #mask = null;
  /** @type {MaskLayer | null} */
  #layer = null;
  /** @type {MaskLayer | null} */
  #proposal = null;
  /** @type {{picture: Picture, place: Rect} | null} */
  #before = null;
  /** @type {import("../editing/marks.js").Marks} */
  #marks = { points: [], boxes: [], rectangle: null };

  /** @type {Tool} */
  #tool = "brush";
  /** Across, in pixels of the picture. */
  #brushPx = 40;
  /** What a stroke paints while it goes on. @type {0 | 1 | null} */
  #stroke = null;
  /** @type {Point} in the picture. */
  #last = { x: 0, y: 0 };
  /** The first corner of a rectangle. @type {Point | null} */
  #corner = null;
  /** The crosshair, in the picture. @type {Point} */
  #cursor = { x: 0, y: 0 };
  #isByKeyboard = false;

  #isDue = false;
  #isAllStale = false;
  #areMarksStale = false;
  /** @type {Rect | null} of the mask. */
  #stale = null;

  connectedCallback() {
    this.#leaving = new AbortController();
    const { signal } = this.#leaving;
    this.tabIndex = 0;
    this.setAttribute("role", "application");
    this.setAttribute("aria-label", t("edit.canvas"));
    this.setAttribute("aria-describedby", "edit-canvas-help");
    const { picture, mask, marks } = this.#canvases;
    this.#edges.hidden = true;
    this.#slider.hidden = true;
    this.replaceChildren(
      h("p", { id: "edit-canvas-help", className: "for-screen-readers" }, t("edit.canvas.help")),
      picture,
      mask,
      this.#preview,
      marks,
      this.#ring,
      this.#cross,
      this.#edges,
      this.#slider,
    );
    const observer = new ResizeObserver(([entry]) => this.#resize(/** @type {ResizeObserverEntry} */ (entry).contentRect));
    observer.observe(this);
    signal.addEventListener("abort", () => observer.disconnect());
    this.#keys = new CanvasKeys(
      this,
      {
        step: (dx, dy) => this.#step(dx, dy),
        move: (dx, dy) => this.move(dx, dy),
        act: (isOther) => this.#act(isOther),
        drop: () => this.#drop(),
      },
      signal,
    );
    takePointers(
      this,
      {
        isMoving: () => {
          if (this.#keys !== null) this.#keys.isSpaceUsed = true;
          return this.#tool === "hand" || this.#keys?.isSpaceHeld === true || this.#mask === null;
        },
        begin: (at, event) => this.#begin(at, event),
        draw: (path, event) => this.#draw(path, event),
        end: (at, event) => this.#end(at, event),
        drop: () => this.#drop(),
        move: (dx, dy) => this.move(dx, dy),
        zoom: (factor, at) => this.zoom(factor, at),
        hover: (at, event) => this.#hover(at, event),
      },
      signal,
    );
    this.addEventListener("blur", () => this.#showCross(false), { signal });
    this.addEventListener("focus", () => this.matches(":focus-visible") && this.#picture !== null && this.#showCross(true), { signal });
    this.#edges.addEventListener("input", () => this.dispatchEvent(new CustomEvent("sides", { detail: this.#edges.sides })), { signal });
    this.#edges.addEventListener("change", () => this.fit(), { signal });
    this.#slider.addEventListener("input", () => this.#redraw(), { signal });
  }

  disconnectedCallback() {
    this.#leaving.abort();
  }

  // What is shown

  get mask() {
    return this.#mask;
  }

  get zoomLevel() {
    return this.#viewport.zoom;
  }

  /** @returns {Viewport} where the picture is, in px from the corner of the element. */
  get viewport() {
    return this.#viewport;
  }

  /**
   * @param {Picture | null} picture
   * @param {Mask | null} mask - of its size.
   */
  show(picture, mask) {
    const isSame = picture?.width === this.#picture?.width && picture?.height === this.#picture?.height;
    this.#picture = picture;
    this.#mask = mask;
    this.#layer = mask === null ? null : new MaskLayer(mask, MASKED);
    this.#stroke = null;
    this.#corner = null;
    if (picture !== null && !isSame) {
      this.#cursor = { x: picture.width / 2, y: picture.height / 2 };
      this.fit();
    }
    this.#redraw();
  }

  /** @param {Mask | null} mask - what was found, and is not accepted yet. */
  propose(mask) {
    this.#proposal = mask === null ? null : new MaskLayer(mask, PROPOSED);
    this.#touch(this.#mask?.bounds ?? null);
  }

  /** @param {Partial<import("../editing/marks.js").Marks>} marks */
  mark(marks) {
    this.#marks = { ...this.#marks, ...marks };
    this.#areMarksStale = true;
    this.#soon();
  }

  /** @param {{picture: Picture, place: Rect} | null} before - to compare with. */
  compare(before) {
    this.#before = before;
    this.#slider.hidden = before === null;
    this.#redraw();
  }

  /**
   * @param {Sides | null} sides - null: no edges can be drawn out.
   */
  extend(sides) {
    const was = this.#edges.hidden;
    this.#edges.hidden = sides === null;
    this.#edges.sides = sides ?? NO_SIDES;
    if (was !== this.#edges.hidden) this.fit();
    this.#redraw();
  }

  /**
   * @param {string | null} url - of what a job has made so far; shown in place of the picture.
   * @param {Sides} [sides] - what it has beyond the picture.
   */
  async preview(url, sides = NO_SIDES) {
    this.#preview.hidden = url === null;
    if (url === null) {
      this.#preview.removeAttribute("src");
      return;
    }
    this.#preview.src = url;
    this.#previewSides = sides;
    this.#placePreview();
  }

  #previewSides = NO_SIDES;

  /** @param {Tool} tool */
  set tool(tool) {
    this.#drop();
    this.#tool = tool;
    this.dataset.tool = tool;
    this.#ring.hidden = true;
    this.#placeCross();
  }

  /** @param {number} px - across, in pixels of the picture. */
  set brushPx(px) {
    this.#brushPx = px;
    this.#ring.style.width = this.#ring.style.height = `${px * this.#viewport.zoom}px`;
    this.#placeCross();
  }

  /**
   * Change the mask as a whole; it can be undone.
   *
   * @param {(mask: Mask) => Rect | null} change
   */
  change(change) {
    const mask = this.#mask;
    if (mask === null) return;
    mask.history.begin();
    this.#touch(change(mask));
    mask.history.commit();
    this.dispatchEvent(new Event("masked"));
  }

  undo() {
    this.#drop();
    this.#touch(this.#mask?.history.undo() ?? null);
    this.dispatchEvent(new Event("masked"));
  }

  redo() {
    this.#touch(this.#mask?.history.redo() ?? null);
    this.dispatchEvent(new Event("masked"));
  }

  // What is seen of it

  /** Show all of it. */
  fit() {
    if (this.#picture === null) return;
    this.#isFitted = true;
    const isExtended = !this.#edges.hidden;
    this.#look(fitted(this.#picture, this.#view, isExtended ? { margin: EDGE_MARGIN_PX, sides: this.#edges.sides } : {}));
  }

  /**
   * @param {number} factor
   * @param {Point} [at] - on the screen, from the corner of the element; by default its middle.
   */
  zoom(factor, at = { x: this.#view.width / 2, y: this.#view.height / 2 }) {
    if (this.#picture === null) return;
    const farthest = Math.min(1, fitted(this.#picture, this.#view).zoom) / 4;
    this.#isFitted = false;
    this.#look(inSight(zoomedAt(this.#viewport, factor, at, farthest), this.#picture, this.#view));
  }

  /** One pixel of the picture to one of the screen. */
  actualSize() {
    this.zoom(1 / this.#viewport.zoom);
  }

  /**
   * @param {number} dx
   * @param {number} dy
   */
  move(dx, dy) {
    if (this.#picture === null) return;
    this.#isFitted = false;
    this.#look(inSight(moved(this.#viewport, dx, dy), this.#picture, this.#view));
  }

  /** @param {Viewport} viewport */
  #look(viewport) {
    this.#viewport = viewport;
    this.#redraw();
  }

  /** @param {DOMRectReadOnly} size */
  #resize({ width, height }) {
    if (width === 0 || height === 0) return;
    this.#view = { width, height };
    this.#scale = Math.min(2, devicePixelRatio);
    for (const canvas of Object.values(this.#canvases)) {
      canvas.width = Math.round(width * this.#scale);
      canvas.height = Math.round(height * this.#scale);
    }
    if (this.#isFitted) this.fit();
    else if (this.#picture !== null) this.#look(inSight(this.#viewport, this.#picture, this.#view));
    // A canvas is empty after its size was set: shown at once, not at the next frame.
    this.#paint();
  }

  // The pointer

  /**
   * @param {Point} at
   * @param {PointerEvent} event
   */
  #begin(at, event) {
    this.#showCross(false);
    const point = toPicture(this.#viewport, at);
    const value = event.button === 2 || this.#tool === "eraser" ? 0 : 1;
    if (this.#tool === "brush" || this.#tool === "eraser") this.#lower(point, value);
    else if (this.#tool === "rectangle") {
      this.#corner = point;
      this.#stroke = value;
    }
  }

  /** @param {readonly Point[]} path */
  #draw(path, /** @type {PointerEvent} */ _event) {
    for (const at of path) this.#follow(toPicture(this.#viewport, at));
  }

  /**
   * @param {Point} at
   * @param {PointerEvent} event
   */
  #end(at, event) {
    const point = toPicture(this.#viewport, at);
    if (this.#tool === "brush" || this.#tool === "eraser") this.#lift();
    else if (this.#tool === "rectangle") this.#close(point);
    else this.#pick(point, event.button === 2 || event.shiftKey);
  }

  /** @param {Point | null} at */
  #hover(at, /** @type {PointerEvent} */ event) {
    const isBrush = this.#tool === "brush" || this.#tool === "eraser";
    this.#ring.hidden = at === null || !isBrush || this.#mask === null || event.pointerType === "touch";
    if (at !== null) this.#ring.style.transform = `translate(${at.x}px, ${at.y}px) translate(-50%, -50%)`;
  }

  // Painting, by pointer or by keyboard

  /**
   * @param {Point} point
   * @param {0 | 1} value
   */
  #lower(point, value) {
    if (this.#mask === null) return;
    this.#stroke = value;
    this.#last = point;
    this.#mask.history.begin();
    this.#touch(this.#mask.line(point, point, this.#brushPx / 2, value));
  }

  /** @param {Point} point */
  #follow(point) {
    if (this.#stroke === null || this.#mask === null) return;
    if (this.#corner !== null) {
      this.mark({ rectangle: shared(between(this.#corner, point), this.#mask.bounds) });
      return;
    }
    if (this.#tool !== "brush" && this.#tool !== "eraser") return;
    this.#touch(this.#mask.line(this.#last, point, this.#brushPx / 2, this.#stroke));
    this.#last = point;
  }

  #lift() {
    this.#stroke = null;
    this.#mask?.history.commit();
    this.dispatchEvent(new Event("masked"));
  }

  /** @param {Point} point */
  #close(point) {
    const corner = this.#corner;
    const value = this.#stroke ?? 1;
    this.#corner = null;
    this.#stroke = null;
    this.mark({ rectangle: null });
    if (corner !== null) this.change((mask) => mask.rectangle(between(corner, point), value));
  }

  /**
   * @param {Point} point
   * @param {boolean} isOther
   */
  #pick(point, isOther) {
    const picture = this.#picture;
    if (picture === null || !contains({ x: 0, y: 0, width: picture.width, height: picture.height }, point)) return;
    if (this.#tool === "object") this.dispatchEvent(new CustomEvent("pick", { detail: { ...point, include: !isOther } }));
    else if (this.#tool === "text") {
      const box = this.#marks.boxes.findLastIndex((each) => contains(each, point));
      if (box !== -1) this.dispatchEvent(new CustomEvent("tick", { detail: box }));
    }
  }

  /** @returns {boolean} whether anything had been begun. */
  #drop() {
    const wasDrawing = this.#stroke !== null;
    this.#stroke = null;
    this.#corner = null;
    if (!wasDrawing) return false;
    this.#touch(this.#mask?.history.rollback() ?? null);
    this.mark({ rectangle: null });
    return true;
  }

  // The keyboard

  /**
   * @param {number} dx
   * @param {number} dy
   */
  #step(dx, dy) {
    const picture = this.#picture;
    if (picture === null) return;
    const by = Math.max(1, Math.hypot(dx, dy) / this.#viewport.zoom);
    const x = Math.min(picture.width, Math.max(0, this.#cursor.x + Math.sign(dx) * by));
    const y = Math.min(picture.height, Math.max(0, this.#cursor.y + Math.sign(dy) * by));
    this.#cursor = { x, y };
    this.#showCross(true);
    this.#follow(this.#cursor);
    const at = toScreen(this.#viewport, this.#cursor);
    const into = (/** @type {number} */ place, /** @type {number} */ room) => {
      return place < KEPT_PX ? KEPT_PX - place : place > room - KEPT_PX ? room - KEPT_PX - place : 0;
    };
    const back = { x: into(at.x, this.#view.width), y: into(at.y, this.#view.height) };
    if ((back.x !== 0 || back.y !== 0) && !this.#isFitted) this.move(back.x, back.y);
    app.notices.announce(t("edit.cursor", { x: number(Math.round(x)), y: number(Math.round(y)) }));
  }

  /** @param {boolean} isOther */
  #act(isOther) {
    if (this.#mask === null) return;
    this.#showCross(true);
    if (this.#tool === "brush" || this.#tool === "eraser") {
      if (this.#stroke === null) {
        this.#lower(this.#cursor, this.#tool === "eraser" || isOther ? 0 : 1);
        app.notices.announce(t("edit.pen.down"));
      } else {
        this.#lift();
        app.notices.announce(t("edit.pen.up"));
      }
    } else if (this.#tool === "rectangle") {
      if (this.#corner === null) {
        this.#corner = this.#cursor;
        this.#stroke = isOther ? 0 : 1;
        app.notices.announce(t("edit.corner.first"));
      } else {
        this.#close(this.#cursor);
        app.notices.announce(t("edit.corner.second"));
      }
    } else this.#pick(this.#cursor, isOther);
    this.#placeCross();
  }

  /** @param {boolean} isShown */
  #showCross(isShown) {
    this.#isByKeyboard = isShown;
    this.#placeCross();
  }

  // Drawing

  /** @param {Rect | null} rect - of the mask, that has changed. */
  #touch(rect) {
    if (rect === null) return;
    this.#stale = around(this.#stale, rect);
    this.#soon();
  }

  #redraw() {
    this.#isAllStale = true;
    this.#soon();
  }

  #soon() {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#paint();
    });
  }

  #paint() {
    const stale = this.#stale;
    const isAll = this.#isAllStale;
    this.#stale = null;
    this.#isAllStale = false;
    this.#layer?.update(stale);
    if (isAll) {
      this.#paintPicture();
      this.#place();
    }
    if (isAll || stale !== null) this.#paintMask(isAll ? null : stale);
    if (isAll || this.#areMarksStale) this.#paintMarks();
    this.#areMarksStale = false;
    if (isAll) this.dispatchEvent(new Event("seen"));
  }

  /** @returns {Viewport} in pixels of the canvases. */
  get #inner() {
    const { zoom, x, y } = this.#viewport;
    return { zoom: zoom * this.#scale, x: x * this.#scale, y: y * this.#scale };
  }

  #paintPicture() {
    const { picture: canvas } = this.#canvases;
    const context = _context(canvas);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (this.#picture === null) return;
    const inner = this.#inner;
    this.#paintOne(context, this.#picture, inner);
    if (this.#before === null) return;
    const { picture, place } = this.#before;
    const { left, right } = this.#trackOfSlider();
    this.#slider.track = { left, right };
    this.#slider.place();
    const split = (left + ((right - left) * this.#slider.value) / 100) * this.#scale;
    context.save();
    context.beginPath();
    context.rect(0, 0, split, canvas.height);
    context.clip();
    context.clearRect(0, 0, canvas.width, canvas.height);
    const across = place.width / picture.width;
    this.#paintOne(context, picture, { zoom: inner.zoom * across, x: inner.x + place.x * inner.zoom, y: inner.y + place.y * inner.zoom });
    context.restore();
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {Picture} picture
   * @param {Viewport} inner
   */
  #paintOne(context, picture, inner) {
    if (picture.hasAlpha) {
      context.fillStyle = _checks(context, CHECK_PX * this.#scale);
      context.fillRect(inner.x, inner.y, picture.width * inner.zoom, picture.height * inner.zoom);
    }
    picture.draw(context, inner, this.#canvases.picture);
  }

  #trackOfSlider() {
    const width = (this.#picture?.width ?? 0) * this.#viewport.zoom;
    return { left: Math.max(0, this.#viewport.x), right: Math.min(this.#view.width, this.#viewport.x + width) };
  }

  /** @param {Rect | null} part - of the mask; null is all. */
  #paintMask(part) {
    const { mask: canvas } = this.#canvases;
    const context = _context(canvas);
    const inner = this.#inner;
    const rect = part ?? this.#mask?.bounds;
    context.save();
    context.beginPath();
    if (part === null) context.rect(0, 0, canvas.width, canvas.height);
    else {
      // What is drawn smaller mixes neighbours: one more pixel of the canvas on every side.
      const left = Math.floor(inner.x + part.x * inner.zoom) - 1;
      const top = Math.floor(inner.y + part.y * inner.zoom) - 1;
      context.rect(left, top, Math.ceil(part.width * inner.zoom) + 3, Math.ceil(part.height * inner.zoom) + 3);
    }
    context.clip();
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (rect !== undefined && this.#before === null) {
      const seen = this.#seen(inner, canvas);
      const wide = { x: rect.x - 2 / inner.zoom, y: rect.y - 2 / inner.zoom, width: rect.width + 4 / inner.zoom, height: rect.height + 4 / inner.zoom };
      const visible = shared(wide, seen);
      if (visible !== null) {
        this.#layer?.draw(context, inner, visible);
        this.#proposal?.draw(context, inner, visible);
      }
    }
    context.restore();
  }

  /**
   * @param {Viewport} inner
   * @param {HTMLCanvasElement} canvas
   * @returns {Rect} of the picture.
   */
  #seen({ zoom, x, y }, { width, height }) {
    return { x: -x / zoom, y: -y / zoom, width: width / zoom, height: height / zoom };
  }

  #paintMarks() {
    const { marks: canvas } = this.#canvases;
    const context = _context(canvas);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (this.#picture === null || this.#before !== null) return;
    context.setTransform(this.#scale, 0, 0, this.#scale, 0, 0);
    drawMarks(context, this.#viewport, this.#marks, getComputedStyle(this).getPropertyValue("--edit-tick"));
  }

  /** Put what is no drawing to its place. */
  #place() {
    this.brushPx = this.#brushPx;
    this.#placePreview();
    if (this.#picture !== null && !this.#edges.hidden) this.#edges.place(this.#viewport, this.#picture);
  }

  #placePreview() {
    if (this.#preview.hidden || this.#picture === null) return;
    const { left, top, right, bottom } = this.#previewSides;
    const start = toScreen(this.#viewport, { x: -left, y: -top });
    const end = toScreen(this.#viewport, { x: this.#picture.width + right, y: this.#picture.height + bottom });
    this.#preview.style.transform = `translate(${start.x}px, ${start.y}px)`;
    this.#preview.style.width = `${end.x - start.x}px`;
    this.#preview.style.height = `${end.y - start.y}px`;
  }

  #placeCross() {
    this.#cross.hidden = !this.#isByKeyboard || this.#mask === null;
    if (this.#cross.hidden) return;
    const { x, y } = toScreen(this.#viewport, this.#cursor);
    this.#cross.style.transform = `translate(${x}px, ${y}px)`;
    const isBrush = this.#tool === "brush" || this.#tool === "eraser";
    this.#cross.style.setProperty("--brush", `${isBrush ? this.#brushPx * this.#viewport.zoom : 0}px`);
    this.#cross.toggleAttribute("data-down", this.#stroke !== null);
  }
}

/** @returns {HTMLCanvasElement} that assistive technology does not see: the element itself has a name. */
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

customElements.define("sl-mask-canvas", MaskCanvas);
