/** The seed: another one each time, one that is written down, or that of the last picture. */

import { app } from "../app.js";
import { h } from "../dom.js";
import { field } from "../field.js";
import { icon } from "../icons.js";
import { LARGEST_SEED } from "../ranges.js";
import { t } from "../words/words.js";
import { FORM_TASKS, seedOf } from "../wish.js";

/** Fires `change`, which bubbles, when a button has changed it. */
export class SeedField extends HTMLElement {
  #input = h("input", { name: "seed", type: "text", inputMode: "numeric", autocomplete: "off", spellcheck: false, placeholder: t("make.seed.random") });
  #isBuilt = false;

  connectedCallback() {
    if (this.#isBuilt) return;
    this.#isBuilt = true;
    const button = (/** @type {"dice" | "keep"} */ drawing, /** @type {string} */ name, /** @type {() => void} */ act) =>
      h("button", { type: "button", className: "icon", "aria-label": name, title: name, onclick: act }, icon(drawing));
    this.replaceChildren(
      field("seed", t("make.seed"), this.#input, {
        beside: h(
          "div",
          { className: "row" },
          button("dice", t("make.seed.dice"), () => this.#set("")),
          button("keep", t("make.seed.keep"), () => this.#keep()),
        ),
      }),
    );
  }

  get value() {
    return this.#input.value.trim();
  }

  set value(seed) {
    this.#input.value = seed;
  }

  /** @returns {{name: string, text: string}[]} */
  get problems() {
    const { value } = this;
    const isSeed = value === "" || (/^\d+$/.test(value) && BigInt(value) <= LARGEST_SEED);
    return isSeed ? [] : [{ name: "seed", text: t("make.wrong.seed") }];
  }

  /** @param {string} seed */
  #set(seed) {
    this.value = seed;
    this.#input.dispatchEvent(new Event("input", { bubbles: true }));
  }

  #keep() {
    const { jobs, order } = app.store.state;
    for (const id of order) {
      const job = jobs.get(id)?.job;
      const seed = job !== undefined && FORM_TASKS.has(job.task) ? seedOf(job) : null;
      if (seed === null) continue;
      this.#set(String(seed));
      return;
    }
    app.notices.show({ kind: "info", text: t("make.seed.none") });
  }
}

customElements.define("sl-seed-field", SeedField);
