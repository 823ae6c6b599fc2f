/** What was found under the clicks: to be added to the mask, taken from it, or dropped. Fires `accept`, `subtract`, `discard`. */

import { h, say } from "../dom.js";
import { t } from "../words/words.js";

export class ObjectFinder extends HTMLElement {
  #standing = h("p", { className: "soft", role: "status" });
  #accept = h("button", { type: "button", className: "primary" }, t("edit.object.add"));
  #subtract = h("button", { type: "button" }, t("edit.object.subtract"));
  #discard = h("button", { type: "button", className: "quiet" }, t("edit.object.discard"));
  #then = h("div", { className: "row", hidden: true }, this.#accept, this.#subtract, this.#discard);

  connectedCallback() {
    if (this.firstChild !== null) return;
    this.#accept.addEventListener("click", () => this.dispatchEvent(new Event("accept")));
    this.#subtract.addEventListener("click", () => this.dispatchEvent(new Event("subtract")));
    this.#discard.addEventListener("click", () => this.dispatchEvent(new Event("discard")));
    this.append(h("p", { className: "field-help" }, t("edit.object.help")), this.#standing, this.#then);
  }

  /** @param {{isLooking: boolean, hasFound: boolean, hasClicks: boolean}} state */
  show({ isLooking, hasFound, hasClicks }) {
    say(this.#standing, isLooking ? t("edit.looking") : hasFound ? t("edit.object.found") : "");
    this.#then.hidden = !hasFound && !hasClicks;
    this.#accept.disabled = this.#subtract.disabled = !hasFound || isLooking;
  }
}

customElements.define("sl-object-finder", ObjectFinder);
