/** The versions of a picture, each to go on from. Fires `choose` (detail: its number). */

import { h } from "../dom.js";
import { taskName } from "../job-words.js";
import { t } from "../words/words.js";

/**
 * @typedef {import("../editing/versions.js").Versions} Versions
 * @typedef {import("../editing/versions.js").Version} Version
 */

export class VersionStrip extends HTMLElement {
  #list = h("ol", { className: "version-list", "aria-label": t("edit.versions") });
  /** @type {readonly Version[]} */
  #shown = [];

  connectedCallback() {
    this.replaceChildren(this.#list);
  }

  /**
   * @param {Versions} versions
   * @param {(version: Version, image: HTMLImageElement) => void} draw - shows a small copy.
   */
  show({ list, current }, draw) {
    const isContinued = this.#shown.every((each, number) => each.ref === list[number]?.ref);
    if (!isContinued) this.#list.replaceChildren();
    for (const [number, version] of list.entries()) {
      if (number >= this.#list.children.length) this.#list.append(this.#item(version, number, draw));
    }
    this.#shown = list;
    this.#list.querySelectorAll("button").forEach((/** @type {HTMLElement} */ button, /** @type {number} */ number) => {
      if (number !== current) {
        button.removeAttribute("aria-current");
        return;
      }
      if (button.hasAttribute("aria-current")) return;
      button.setAttribute("aria-current", "true");
      // Not `scrollIntoView`: on a phone it would move the page as well.
      this.#list.scrollTo({ left: button.offsetLeft - this.#list.clientWidth / 2, behavior: "auto" });
    });
  }

  /**
   * @param {Version} version
   * @param {number} number
   * @param {(version: Version, image: HTMLImageElement) => void} draw
   */
  #item(version, number, draw) {
    const image = h("img", { alt: "", width: 72, height: 56 });
    draw(version, image);
    const name = number === 0 ? t("edit.original") : t("edit.version", { number });
    const made = version.task === undefined ? "" : taskName(version.task);
    return h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          className: "version quiet",
          onclick: () => this.dispatchEvent(new CustomEvent("choose", { detail: number })),
        },
        image,
        h("span", { className: "version-name" }, name, made !== "" && h("span", { className: "soft" }, ` ${made}`)),
      ),
    );
  }
}

customElements.define("sl-version-strip", VersionStrip);
