/** The line between before and after, and its handle. Fires `input` when it is moved; what it uncovers is drawn elsewhere. */

import { h } from "../dom.js";
import { number, t } from "../words/words.js";

const SMALL = 2;
const LARGE = 10;

export class CompareSlider extends HTMLElement {
  #leaving = new AbortController();
  #handle = h("div", { className: "compare-handle", role: "slider", tabIndex: 0, "aria-orientation": "horizontal" });
  /** 0..100: how much of the width shows what was before. */
  value = 50;
  /** Where it may go, in px from the left edge of its parent. */
  track = { left: 0, right: 0 };

  connectedCallback() {
    this.#leaving = new AbortController();
    const { signal } = this.#leaving;
    this.#handle.setAttribute("aria-label", t("edit.compare.slider"));
    this.#handle.setAttribute("aria-valuemin", "0");
    this.#handle.setAttribute("aria-valuemax", "100");
    this.replaceChildren(
      h("span", { className: "compare-name", "aria-hidden": "true" }, t("edit.compare.before")),
      this.#handle,
      h("span", { className: "compare-name", "aria-hidden": "true" }, t("edit.compare.after")),
    );
    this.#handle.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#press(event), { signal });
    this.#handle.addEventListener(
      "pointerdown",
      (/** @type {PointerEvent} */ event) => {
        event.stopPropagation();
        this.#handle.setPointerCapture(event.pointerId);
      },
      { signal },
    );
    this.#handle.addEventListener(
      "pointermove",
      (/** @type {PointerEvent} */ event) => {
        if (!this.#handle.hasPointerCapture(event.pointerId)) return;
        const { left } = /** @type {HTMLElement} */ (this.parentElement).getBoundingClientRect();
        const { left: start, right: end } = this.track;
        this.#take(((event.clientX - left - start) / Math.max(1, end - start)) * 100);
      },
      { signal },
    );
    this.place();
  }

  disconnectedCallback() {
    this.#leaving.abort();
  }

  /** Go to where `value` and `track` say. */
  place() {
    const { left, right } = this.track;
    this.style.transform = `translateX(${left + ((right - left) * this.value) / 100}px)`;
    this.#handle.setAttribute("aria-valuenow", String(Math.round(this.value)));
    this.#handle.setAttribute("aria-valuetext", t("edit.compare.value", { share: number(Math.round(this.value)) }));
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const step = event.shiftKey ? LARGE : SMALL;
    /** @type {Record<string, number>} */
    const goes = {
      ArrowLeft: this.value - step,
      ArrowDown: this.value - step,
      ArrowRight: this.value + step,
      ArrowUp: this.value + step,
      PageDown: this.value - LARGE,
      PageUp: this.value + LARGE,
      Home: 0,
      End: 100,
    };
    const to = goes[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.#take(to);
  }

  /** @param {number} value */
  #take(value) {
    this.value = Math.min(100, Math.max(0, value));
    this.place();
    this.dispatchEvent(new Event("input"));
  }
}

customElements.define("sl-compare-slider", CompareSlider);
