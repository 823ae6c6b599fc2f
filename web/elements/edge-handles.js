/** Four handles at the edges of a picture, to draw out what is to be painted beyond them. Fires `input` with the sides. */

import { h } from "../dom.js";
import { NO_SIDES, toScreen } from "../editing/viewport.js";
import { number, t } from "../words/words.js";

/**
 * @typedef {import("../editing/viewport.js").Sides} Sides
 * @typedef {import("../editing/viewport.js").Size} Size
 * @typedef {import("../editing/viewport.js").Viewport} Viewport
 * @typedef {keyof Sides} Side
 */

export const MOST_PX = 4096;
/** Models work on multiples of this. */
const STEP_PX = 8;
const LARGE_PX = 64;
/** Which way adds: by the pointer, and by the arrow keys. */
const WAYS = Object.freeze({
  left: { dx: -1, dy: 0, more: "ArrowLeft", less: "ArrowRight" },
  top: { dx: 0, dy: -1, more: "ArrowUp", less: "ArrowDown" },
  right: { dx: 1, dy: 0, more: "ArrowRight", less: "ArrowLeft" },
  bottom: { dx: 0, dy: 1, more: "ArrowDown", less: "ArrowUp" },
});
const SIDES = /** @type {const} */ (["left", "top", "right", "bottom"]);

export class EdgeHandles extends HTMLElement {
  #leaving = new AbortController();
  #frame = h("div", { className: "edge-frame" });
  /** @type {Map<Side, HTMLElement>} */
  #handles = new Map();
  /** @type {{viewport: Viewport, picture: Size}} */
  #seen = { viewport: { zoom: 1, x: 0, y: 0 }, picture: { width: 1, height: 1 } };
  /** @type {Sides} in pixels of the picture. */
  sides = NO_SIDES;

  connectedCallback() {
    this.#leaving = new AbortController();
    const { signal } = this.#leaving;
    for (const side of SIDES) {
      const handle = h("div", {
        className: "edge-handle",
        role: "slider",
        tabIndex: 0,
        "data-side": side,
        "aria-label": t(`edit.side.${side}`),
        "aria-orientation": side === "left" || side === "right" ? "horizontal" : "vertical",
        "aria-valuemin": "0",
        "aria-valuemax": String(MOST_PX),
      });
      this.#handles.set(side, handle);
      this.#listen(handle, side, signal);
    }
    this.replaceChildren(this.#frame, ...this.#handles.values());
  }

  disconnectedCallback() {
    this.#leaving.abort();
  }

  /**
   * Go to the edges of what is seen.
   *
   * @param {Viewport} viewport
   * @param {Size} picture
   */
  place(viewport, picture) {
    this.#seen = { viewport, picture };
    const { left, top, right, bottom } = this.sides;
    const start = toScreen(viewport, { x: -left, y: -top });
    const end = toScreen(viewport, { x: picture.width + right, y: picture.height + bottom });
    const middle = { x: (start.x + end.x) / 2, y: (start.y + end.y) / 2 };
    const { style } = this.#frame;
    style.transform = `translate(${start.x}px, ${start.y}px)`;
    style.width = `${end.x - start.x}px`;
    style.height = `${end.y - start.y}px`;
    const places = { left: [start.x, middle.y], top: [middle.x, start.y], right: [end.x, middle.y], bottom: [middle.x, end.y] };
    for (const [side, handle] of this.#handles) {
      const [x, y] = /** @type {[number, number]} */ (places[side]);
      handle.style.transform = `translate(${x}px, ${y}px)`;
      handle.setAttribute("aria-valuenow", String(this.sides[side]));
      handle.setAttribute("aria-valuetext", t("edit.px", { px: number(this.sides[side]) }));
    }
  }

  /**
   * @param {HTMLElement} handle
   * @param {Side} side
   * @param {AbortSignal} signal
   */
  #listen(handle, side, signal) {
    const way = WAYS[side];
    let from = { x: 0, y: 0, px: 0 };
    handle.addEventListener(
      "pointerdown",
      (event) => {
        event.stopPropagation();
        handle.setPointerCapture(event.pointerId);
        from = { x: event.clientX, y: event.clientY, px: this.sides[side] };
      },
      { signal },
    );
    handle.addEventListener(
      "pointermove",
      (event) => {
        if (!handle.hasPointerCapture(event.pointerId)) return;
        const gone = (event.clientX - from.x) * way.dx + (event.clientY - from.y) * way.dy;
        this.#take(side, from.px + gone / this.#seen.viewport.zoom);
      },
      { signal },
    );
    handle.addEventListener("pointerup", () => this.dispatchEvent(new Event("change")), { signal });
    handle.addEventListener(
      "keydown",
      (event) => {
        const step = event.shiftKey ? LARGE_PX : STEP_PX;
        if (event.key === way.more) this.#take(side, this.sides[side] + step);
        else if (event.key === way.less) this.#take(side, this.sides[side] - step);
        else if (event.key === "Home") this.#take(side, 0);
        else return;
        event.preventDefault();
        event.stopPropagation();
        this.dispatchEvent(new Event("change"));
      },
      { signal },
    );
  }

  /**
   * @param {Side} side
   * @param {number} px
   */
  #take(side, px) {
    const whole = Math.min(MOST_PX, Math.max(0, Math.round(px / STEP_PX) * STEP_PX));
    if (whole === this.sides[side]) return;
    this.sides = { ...this.sides, [side]: whole };
    this.place(this.#seen.viewport, this.#seen.picture);
    this.dispatchEvent(new Event("input"));
  }
}

customElements.define("sl-edge-handles", EdgeHandles);
