/**
 * The canvas of the view edit: a picture of any size under a mask that is painted on it.
 *
 * What changes is drawn once a frame, and of the mask only what was touched. Fires `masked` after each change of the
 * mask, `pick` (detail {x, y, include}) for a click on an object, `tick` (detail: number of a box), `seen` when zoom or
 * place have changed, and `sides` when an edge is drawn out.
 */

import { app } from "../app.js";
import { h } from "../dom.js";
import { CanvasKeys } from "../editing/canvas-keys.js";
import { CanvasLayers } from "../editing/canvas-layers.js";
import { takePointers } from "../editing/canvas-pointers.js";
import { MaskLayer } from "../editing/mask-layer.js";
import { MaskTools } from "../editing/mask-tools.js";
import { around, contains } from "../editing/rect.js";
import { fitted, inSight, moved, NO_SIDES, toPicture, toScreen, zoomedAt } from "../editing/viewport.js";
import { number, t } from "../words/words.js";
import { CompareSlider } from "./compare-slider.js";
import { EdgeHandles } from "./edge-handles.js";
import { JobPreview } from "./job-preview.js";

/**
 * @typedef {import("../editing/mask.js").Mask} Mask
 * @typedef {import("../editing/mask-tools.js").Tool} Tool
 * @typedef {import("../editing/picture.js").Picture} Picture
 * @typedef {import("../editing/rect.js").Rect} Rect
 * @typedef {import("../editing/viewport.js").Point} Point
 * @typedef {import("../editing/viewport.js").Sides} Sides
 * @typedef {import("../editing/viewport.js").Viewport} Viewport
 */

/** @type {import("../editing/mask-layer.js").Colour} */
const MASKED = [222, 60, 12, 150];
/** @type {import("../editing/mask-layer.js").Colour} */
const PROPOSED = [16, 132, 222, 160];
/** Room for the handles that draw edges out: a share of the shorter side, up to so many px. */
const EDGE_MARGIN = 0.12;
const EDGE_MARGIN_PX = 72;
/** The crosshair stays this far from the edges of what is seen. */
const KEPT_PX = 24;

export class MaskCanvas extends HTMLElement {
  #leaving = new AbortController();
  #layers = new CanvasLayers();
  #ring = h("div", { className: "edit-ring", hidden: true });
  #cross = h("div", { className: "edit-cross", hidden: true });
  #preview = new JobPreview();
  #edges = new EdgeHandles();
  #slider = new CompareSlider();
  /** @type {CanvasKeys | null} */
  #keys = null;
  #tools = new MaskTools({
    touched: (rect) => this.#touch(rect),
    masked: () => this.dispatchEvent(new Event("masked")),
    outlined: (rectangle) => this.mark({ rectangle }),
    clicked: (point, isOther) => this.#click(point, isOther),
  });

  #view = { width: 1, height: 1 };
  /** @type {Viewport} */
  #viewport = { zoom: 1, x: 0, y: 0 };
  #isFitted = true;
  /** @type {Picture | null} */
  #picture = null;
  /** @type {MaskLayer | null} */
  #masked = null;
  /** @type {MaskLayer | null} */
  #proposed = null;
  /** @type {{picture: Picture, place: Rect} | null} */
  #before = null;
  /** @type {import("../editing/marks.js").Marks} */
  #marks = { points: [], boxes: [], rectangle: null };
  /** The crosshair, in the picture. @type {Point} */
  #cursor = { x: 0, y: 0 };
  #isByKeyboard = false;

  #isDue = false;
  #isAllStale = false;
  #areMarksStale = false;
  /** What of the mask has changed. @type {Rect | null} */
  #stale = null;

  connectedCallback() {
    this.#leaving = new AbortController();
    const { signal } = this.#leaving;
    this.tabIndex = 0;
    this.setAttribute("role", "application");
    this.setAttribute("aria-label", t("edit.canvas"));
    this.setAttribute("aria-describedby", "edit-canvas-help");
    this.#edges.hidden = true;
    this.#slider.hidden = true;
    const [picture, mask, marks] = this.#layers.elements;
    const help = h("p", { id: "edit-canvas-help", className: "for-screen-readers" }, t("edit.canvas.help"));
    this.replaceChildren(help, ...[picture, mask, this.#preview, marks, this.#ring, this.#cross, this.#edges, this.#slider].filter((each) => each !== undefined));
    const observer = new ResizeObserver(([entry]) => this.#resize(/** @type {ResizeObserverEntry} */ (entry).contentRect));
    observer.observe(this);
    signal.addEventListener("abort", () => observer.disconnect());
    this.#takeKeys(signal);
    this.#takePointers(signal);
    this.addEventListener("blur", () => this.#showCross(false), { signal });
    this.addEventListener("focus", () => this.matches(":focus-visible") && this.#showCross(this.#picture !== null), { signal });
    this.#edges.addEventListener("input", () => this.dispatchEvent(new CustomEvent("sides", { detail: this.#edges.sides })), { signal });
    this.#edges.addEventListener("change", () => this.fit(), { signal });
    this.#slider.addEventListener("input", () => this.#redraw(), { signal });
  }

  disconnectedCallback() {
    this.#leaving.abort();
  }

  // What is shown

  get mask() {
    return this.#tools.mask;
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
    this.#tools.drop();
    this.#tools.mask = mask;
    this.#picture = picture;
    this.#masked = mask === null ? null : new MaskLayer(mask, MASKED);
    if (picture !== null && !isSame) {
      this.#cursor = { x: picture.width / 2, y: picture.height / 2 };
      this.fit();
    }
    this.#redraw();
  }

  /** @param {Mask | null} mask - what was found, and is not accepted yet. */
  propose(mask) {
    this.#proposed = mask === null ? null : new MaskLayer(mask, PROPOSED);
    this.#touch(this.mask?.bounds ?? null);
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

  /** @param {Sides | null} sides - null: no edges can be drawn out. */
  extend(sides) {
    const was = this.#edges.hidden;
    this.#edges.hidden = sides === null;
    this.#edges.sides = sides ?? NO_SIDES;
    if (was !== this.#edges.hidden && this.#isFitted) this.fit();
    this.#redraw();
  }

  /**
   * Show what a job has made so far in place of what it will change.
   *
   * @param {string} url - empty for nothing.
   * @param {Rect} [part] - what it shows, in pixels of the picture.
   * @param {string} [changedUrl] - of a picture that is white where something may change; empty if it may anywhere.
   */
  preview(url, part = { x: 0, y: 0, width: 1, height: 1 }, changedUrl = "") {
    this.#preview.show(url, part, this.#picture ?? part, changedUrl);
    this.#preview.place(this.#viewport);
  }

  /** @param {Tool} tool */
  set tool(tool) {
    this.#tools.drop();
    this.#tools.tool = tool;
    this.dataset.tool = tool;
    this.mark({});
    this.#placeRing(null);
    this.#placeCross();
  }

  /** @param {number} px - across, in pixels of the picture. */
  set brushPx(px) {
    this.#tools.brushPx = px;
    this.#ring.style.width = this.#ring.style.height = `${px * this.#viewport.zoom}px`;
  }

  /**
   * Change the mask as a whole; it can be undone.
   *
   * @param {(mask: Mask) => Rect | null} change
   */
  change(change) {
    this.#tools.change(change);
  }

  undo() {
    this.#tools.travel("undo");
  }

  redo() {
    this.#tools.travel("redo");
  }

  // What is seen of it

  /** Show all of it. */
  fit() {
    if (this.#picture === null) return;
    this.#isFitted = true;
    const margin = Math.min(EDGE_MARGIN_PX, EDGE_MARGIN * Math.min(this.#view.width, this.#view.height));
    const options = this.#edges.hidden ? {} : { margin, sides: this.#edges.sides };
    this.#look(fitted(this.#picture, this.#view, options));
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
    this.#layers.resize(this.#view);
    if (this.#isFitted) this.fit();
    else if (this.#picture !== null) this.#look(inSight(this.#viewport, this.#picture, this.#view));
    // At once, not at the next frame: the canvases are empty now.
    this.#isAllStale = true;
    this.#draw();
  }

  // Pointers and keys

  /** @param {AbortSignal} signal */
  #takePointers(signal) {
    const tools = this.#tools;
    const isOther = (/** @type {PointerEvent} */ event) => event.button === 2 || event.shiftKey;
    takePointers(
      this,
      {
        isMoving: () => {
          if (this.#keys !== null) this.#keys.isSpaceUsed = true;
          // While two versions are compared the mask is not seen.
          const isSeen = tools.mask !== null && this.#before === null;
          return tools.tool === "hand" || this.#keys?.isSpaceHeld === true || !isSeen;
        },
        begin: (at, event) => {
          this.#showCross(false);
          tools.begin(toPicture(this.#viewport, at), event.button === 2);
        },
        draw: (path) => path.forEach((at) => tools.follow(toPicture(this.#viewport, at))),
        end: (at, event) => tools.end(toPicture(this.#viewport, at), isOther(event)),
        drop: () => tools.drop(),
        move: (dx, dy) => this.move(dx, dy),
        zoom: (factor, at) => this.zoom(factor, at),
        hover: (at, event) => this.#placeRing(event.pointerType === "touch" ? null : at),
      },
      signal,
    );
  }

  /** @param {AbortSignal} signal */
  #takeKeys(signal) {
    this.#keys = new CanvasKeys(
      this,
      {
        step: (dx, dy) => this.#step(dx, dy),
        move: (dx, dy) => this.move(dx, dy),
        act: (isOther) => this.#act(isOther),
        drop: () => this.#tools.drop(),
      },
      signal,
    );
  }

  /**
   * @param {Point} point
   * @param {boolean} isOther
   */
  #click(point, isOther) {
    const picture = this.#picture;
    if (picture === null || !contains({ x: 0, y: 0, width: picture.width, height: picture.height }, point)) return;
    if (this.#tools.tool === "object") this.dispatchEvent(new CustomEvent("pick", { detail: { ...point, include: !isOther } }));
    else if (this.#tools.tool === "text") {
      const box = this.#marks.boxes.findLastIndex((each) => contains(each, point));
      if (box !== -1) this.dispatchEvent(new CustomEvent("tick", { detail: box }));
    }
  }

  /**
   * Move the crosshair.
   *
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
    this.#tools.follow(this.#cursor);
    const at = toScreen(this.#viewport, this.#cursor);
    const back = { x: _into(at.x, this.#view.width), y: _into(at.y, this.#view.height) };
    if ((back.x !== 0 || back.y !== 0) && !this.#isFitted) this.move(back.x, back.y);
    app.notices.announce(t("edit.cursor", { x: number(Math.round(x)), y: number(Math.round(y)) }));
  }

  /**
   * Do at the crosshair what a click would: a stroke begins with one key and ends with the next.
   *
   * @param {boolean} isOther
   */
  #act(isOther) {
    const tools = this.#tools;
    if (tools.mask === null || this.#before !== null) return;
    const was = tools.isDown;
    if (!was) tools.begin(this.#cursor, isOther);
    const hasBegun = !was && tools.isDown;
    if (!hasBegun) tools.end(this.#cursor, isOther);
    this.#showCross(true);
    if (!was && !hasBegun) return;
    if (tools.isBrush) app.notices.announce(t(hasBegun ? "edit.pen.down" : "edit.pen.up"));
    else app.notices.announce(t(hasBegun ? "edit.corner.first" : "edit.corner.second"));
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
      this.#draw();
    });
  }

  #draw() {
    const stale = this.#stale;
    const isAll = this.#isAllStale;
    const areMarksStale = isAll || this.#areMarksStale;
    this.#stale = null;
    this.#isAllStale = this.#areMarksStale = false;
    this.#masked?.update(stale);
    if (isAll) {
      this.#layers.drawPicture(this.#picture, this.#viewport, this.#split());
      this.#place();
    }
    const isPlain = this.#before === null;
    const layers = [this.#masked, this.#proposed].filter((each) => each !== null);
    if (isAll || stale !== null) this.#layers.drawMask(isPlain ? layers : [], this.#viewport, isAll ? null : stale);
    if (areMarksStale) this.#layers.drawMarks(isPlain && this.#picture !== null ? this.#seenMarks() : null, this.#viewport);
    if (isAll) this.dispatchEvent(new Event("seen"));
  }

  /** @returns {import("../editing/marks.js").Marks} those that the tool is about. */
  #seenMarks() {
    return { ...this.#marks, boxes: this.#tools.tool === "text" ? this.#marks.boxes : [] };
  }

  /** @returns {import("../editing/canvas-layers.js").Before | null} */
  #split() {
    if (this.#before === null || this.#picture === null) return null;
    const { zoom, x } = this.#viewport;
    const left = Math.max(0, x);
    const right = Math.min(this.#view.width, x + this.#picture.width * zoom);
    this.#slider.track = { left, right };
    this.#slider.place();
    return { ...this.#before, splitPx: left + ((right - left) * this.#slider.value) / 100 };
  }

  /** Put what is no drawing to its place. */
  #place() {
    this.brushPx = this.#tools.brushPx;
    this.#preview.place(this.#viewport);
    this.#placeCross();
    if (this.#picture !== null && !this.#edges.hidden) this.#edges.place(this.#viewport, this.#picture);
  }

  /** @param {boolean} isShown */
  #showCross(isShown) {
    if (!isShown && this.#isByKeyboard) this.#placeRing(null);
    this.#isByKeyboard = isShown;
    this.#placeCross();
  }

  #placeCross() {
    const isShown = this.#isByKeyboard && this.mask !== null;
    this.#cross.hidden = !isShown;
    if (!isShown) return;
    const at = toScreen(this.#viewport, this.#cursor);
    this.#cross.style.transform = `translate(${at.x}px, ${at.y}px)`;
    this.#cross.toggleAttribute("data-down", this.#tools.isDown);
    this.#placeRing(at);
  }

  /** @param {Point | null} at - the middle of the brush on the screen; null where it is not seen. */
  #placeRing(at) {
    this.#ring.hidden = at === null || !this.#tools.isBrush || this.mask === null;
    if (at !== null) this.#ring.style.transform = `translate(${at.x}px, ${at.y}px) translate(-50%, -50%)`;
  }
}

/**
 * @param {number} place - on the screen.
 * @param {number} room
 * @returns {number} how far it has to be moved to be well in sight.
 */
function _into(place, room) {
  if (place < KEPT_PX) return KEPT_PX - place;
  return place > room - KEPT_PX ? room - KEPT_PX - place : 0;
}

customElements.define("sl-mask-canvas", MaskCanvas);
