/**
 * The writing that was found in a picture, to be ticked. Fires `find`, `tick` (detail: number), `remove` and `mark`.
 */

import { h, say } from "../dom.js";
import { icon } from "../icons.js";
import { t } from "../words/words.js";

/**
 * @typedef {object} FoundText
 * @property {number} x - in px, as its other sides.
 * @property {number} y
 * @property {number} width
 * @property {number} height
 * @property {string} text
 * @property {boolean} isTicked
 */

export class TextFinder extends HTMLElement {
  #find = h("button", { type: "button" }, icon("text"), t("edit.text.find"));
  #standing = h("p", { className: "soft", role: "status" });
  #list = h("ul", { className: "found-list", "aria-label": t("edit.text.found") });
  #remove = h("button", { type: "button", className: "primary" }, t("edit.text.remove"));
  #mark = h("button", { type: "button" }, t("edit.text.mark"));
  #then = h("div", { className: "row", hidden: true }, this.#remove, this.#mark);

  connectedCallback() {
    if (this.firstChild !== null) return;
    this.#find.addEventListener("click", () => this.dispatchEvent(new Event("find")));
    this.#remove.addEventListener("click", () => this.dispatchEvent(new Event("remove")));
    this.#mark.addEventListener("click", () => this.dispatchEvent(new Event("mark")));
    this.append(this.#find, this.#standing, this.#list, this.#then);
  }

  /**
   * @param {object} state
   * @param {readonly FoundText[] | null} state.found - null: nobody has looked yet.
   * @param {boolean} state.isLooking
   * @param {boolean} state.isWorking - a job is at work, another cannot be started.
   */
  show({ found, isLooking, isWorking }) {
    this.#find.disabled = isLooking;
    say(this.#standing, isLooking ? t("edit.looking") : found === null ? "" : found.length === 0 ? t("edit.text.none") : t("edit.text.some", { count: found.length }));
    const boxes = this.#list.querySelectorAll("input");
    if (found !== null && boxes.length === found.length && [...boxes].every((box, index) => box.dataset.text === found[index]?.text)) {
      boxes.forEach((/** @type {HTMLInputElement} */ box, /** @type {number} */ index) => {
        box.checked = found[index]?.isTicked ?? false;
      });
    } else this.#list.replaceChildren(...(found ?? []).map((each, index) => this.#item(each, index)));
    const ticked = (found ?? []).some((each) => each.isTicked);
    this.#then.hidden = found === null || found.length === 0;
    this.#remove.disabled = !ticked || isWorking;
    this.#mark.disabled = !ticked;
  }

  /**
   * @param {FoundText} found
   * @param {number} index
   */
  #item({ text, isTicked }, index) {
    const box = h("input", { type: "checkbox", checked: isTicked, "data-text": text });
    box.addEventListener("change", () => this.dispatchEvent(new CustomEvent("tick", { detail: index })));
    return h("li", {}, h("label", { className: "check" }, box, h("span", { className: "found-text" }, text || t("edit.text.unread"))));
  }
}

customElements.define("sl-text-finder", TextFinder);
