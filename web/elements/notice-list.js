/** The messages in the corner, and the live regions by which a screen reader says them. */

import { app } from "../app.js";
import { h } from "../dom.js";
import { t } from "../words/words.js";

/** How long a message stays, unless it is about a mistake or somebody points at it. */
const STAYS_MS = 6000;
/** More than these would hide the page. */
const MOST = 4;

export class NoticeList extends HTMLElement {
  #leaving = new AbortController();
  #polite = h("div", { className: "for-screen-readers", role: "status" });
  #urgent = h("div", { className: "for-screen-readers", role: "alert" });

  connectedCallback() {
    this.#leaving = new AbortController();
    const { signal } = this.#leaving;
    this.replaceChildren(this.#polite, this.#urgent);
    app.notices.addEventListener(
      "notice",
      (event) => this.#show(/** @type {CustomEvent<import("../notices.js").Notice>} */ (event).detail),
      { signal },
    );
    app.notices.addEventListener(
      "announcement",
      (event) => {
        this.#polite.textContent = /** @type {CustomEvent<string>} */ (event).detail;
      },
      { signal },
    );
  }

  disconnectedCallback() {
    this.#leaving.abort();
  }

  /** @param {import("../notices.js").Notice} notice */
  #show({ kind, text, action }) {
    const close = () => {
      clearTimeout(timer);
      card.remove();
    };
    const card = h(
      "div",
      { className: "notice", "data-kind": kind },
      h("p", {}, text),
      action && h("button", { type: "button", className: "small", onclick: () => (close(), action.act()) }, action.words),
      h("button", { type: "button", className: "quiet small", "aria-label": t("shell.close"), onclick: close }, "×"),
    );
    const waits = () => setTimeout(() => (card.matches(":hover, :focus-within") ? (timer = waits()) : close()), STAYS_MS);
    let timer = kind === "bad" ? undefined : waits();
    this.append(card);
    (kind === "bad" ? this.#urgent : this.#polite).textContent = text;
    const cards = this.querySelectorAll(".notice");
    if (cards.length > MOST) cards[0]?.remove();
  }
}

customElements.define("sl-notice-list", NoticeList);
