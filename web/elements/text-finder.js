/**
 * Finds the writing in a picture, to be ticked in a list or in the picture itself. Fires `remove` (detail: the regions
 * that are ticked).
 */

import { app } from "../app.js";
import { h, say } from "../dom.js";
import { icon } from "../icons.js";
import { t } from "../words/words.js";

/**
 * @typedef {import("../editing/mask.js").Mask} Mask
 * @typedef {import("../editing/rect.js").Rect & {text: string, isTicked: boolean}} FoundText
 */

export class TextFinder extends HTMLElement {
  #find = h("button", { type: "button" }, icon("text"), t("edit.text.find"));
  #standing = h("p", { className: "soft", role: "status" });
  #list = h("ul", { className: "found-list", "aria-label": t("edit.text.found") });
  #remove = h("button", { type: "button", className: "primary small" }, t("edit.text.remove"));
  #mark = h("button", { type: "button", className: "small" }, t("edit.text.mark"));
  #then = h("div", { className: "row", hidden: true }, this.#remove, this.#mark);
  /** Null: nobody has looked yet. @type {readonly FoundText[] | null} */
  #found = null;
  /** The strokes of all of it. @type {Mask | null} */
  #strokes = null;
  /** @type {AbortController | null} */
  #asking = null;
  #isWorking = false;

  /**
   * @param {import("../editing/workbench.js").Workbench} bench
   * @param {import("./mask-canvas.js").MaskCanvas} canvas
   */
  constructor(bench, canvas) {
    super();
    this.bench = bench;
    this.canvas = canvas;
  }

  connectedCallback() {
    if (this.firstChild !== null) return;
    this.#find.addEventListener("click", () => void this.find());
    this.#remove.addEventListener("click", () => this.dispatchEvent(new CustomEvent("remove", { detail: this.#ticked })));
    this.#mark.addEventListener("click", () => {
      const strokes = this.#strokes;
      if (strokes !== null) this.canvas.change((mask) => mask.merge(strokes, 1, this.#ticked));
    });
    this.append(this.#find, this.#standing, this.#list, this.#then);
  }

  /** @returns {import("../editing/rect.js").Rect[]} */
  get #ticked() {
    return (this.#found ?? []).filter((each) => each.isTicked).map(({ x, y, width, height }) => ({ x, y, width, height }));
  }

  /** @param {boolean} isWorking - a job is at work: another cannot be started. */
  set isWorking(isWorking) {
    this.#isWorking = isWorking;
    this.#show();
  }

  /** Look, if nobody has yet. */
  async begin() {
    if (this.#found === null && this.#asking === null) await this.find();
  }

  async find() {
    this.forget();
    const asking = new AbortController();
    this.#asking = asking;
    this.#show();
    try {
      const { mask, data } = await this.bench.find("remove_text", { result: "mask" }, asking.signal);
      this.#strokes = mask;
      const regions = /** @type {FoundText[]} */ (data.regions ?? []);
      this.#found = regions.map(({ x, y, width, height, text }) => ({ x, y, width, height, text, isTicked: false }));
      this.#list.replaceChildren(...this.#found.map(({ text }, index) => this.#item(text, index)));
      app.notices.announce(this.#words);
    } catch (error) {
      if (!asking.signal.aborted) app.notices.tell(error);
    }
    if (this.#asking === asking) this.#asking = null;
    this.#show();
  }

  /** @param {number} number - of the line. */
  tick(number) {
    this.#found = (this.#found ?? []).map((each, index) => (index === number ? { ...each, isTicked: !each.isTicked } : each));
    this.#show();
  }

  /** Drop what was found, and what is asked. */
  forget() {
    this.#asking?.abort();
    this.#asking = null;
    this.#found = null;
    this.#strokes = null;
    this.#list.replaceChildren();
    this.#show();
  }

  get #words() {
    if (this.#asking !== null && this.#found === null) return t("edit.looking");
    if (this.#found === null) return "";
    return this.#found.length === 0 ? t("edit.text.none") : t("edit.text.some", { count: this.#found.length });
  }

  #show() {
    const found = this.#found ?? [];
    this.#find.disabled = this.#asking !== null;
    say(this.#standing, this.#words);
    this.#list.querySelectorAll("input").forEach((/** @type {HTMLInputElement} */ box, /** @type {number} */ index) => {
      box.checked = found[index]?.isTicked ?? false;
    });
    const isAny = found.some((each) => each.isTicked);
    this.#then.hidden = found.length === 0;
    this.#remove.disabled = !isAny || this.#isWorking;
    this.#mark.disabled = !isAny;
    this.canvas.mark({ boxes: found });
  }

  /**
   * @param {string} text
   * @param {number} index
   */
  #item(text, index) {
    const box = h("input", { type: "checkbox" });
    box.addEventListener("change", () => this.tick(index));
    return h("li", {}, h("label", { className: "check" }, box, h("span", { className: "found-text" }, text || t("edit.text.unread"))));
  }
}

customElements.define("sl-text-finder", TextFinder);
