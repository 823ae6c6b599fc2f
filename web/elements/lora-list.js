/** LoRAs to lay over the model, each with how much it counts. */

import { h, say } from "../dom.js";
import { wrong } from "../field.js";
import { icon } from "../icons.js";
import { library } from "../library.js";
import { MOST, RANGES } from "../ranges.js";
import { t } from "../words/words.js";

/** @typedef {import("../wish.js").Lora} Lora */

/** Fires `change`, which bubbles. */
export class LoraList extends HTMLElement {
  #leaving = new AbortController();
  #count = h("span", { className: "tag", hidden: true });
  #rows = h("div", { className: "lora-rows" });
  #none = h("p", { className: "soft" }, t("make.loras.none"));
  #add = h("button", { type: "button", className: "small" }, icon("add"), t("make.loras.add"));

  connectedCallback() {
    this.#leaving = new AbortController();
    const { signal } = this.#leaving;
    this.#add.addEventListener("click", () => this.#append(), { signal });
    library.addEventListener("change", () => this.#offer(), { signal });
    this.replaceChildren(
      h(
        "details",
        { className: "fold" },
        h("summary", {}, t("make.loras"), this.#count),
        h("div", { className: "fold-body", "data-field": "loras" }, this.#none, this.#rows, this.#add, wrong()),
      ),
    );
    this.#offer();
  }

  disconnectedCallback() {
    this.#leaving.abort();
  }

  /** @returns {Lora[]} */
  get value() {
    return [...this.#rows.children].map((row) => ({
      name: /** @type {HTMLSelectElement} */ (row.querySelector("select")).value,
      weight: Number(/** @type {HTMLInputElement} */ (row.querySelector("input")).value || "1"),
    }));
  }

  set value(loras) {
    this.#rows.replaceChildren(...loras.map((lora) => this.#row(lora)));
    this.#show();
  }

  /** @returns {{name: string, text: string}[]} */
  get problems() {
    const isRight = [...this.#rows.querySelectorAll("input")].every((input) => input.checkValidity());
    const [low, high] = RANGES.lora_weight ?? [0, 0];
    return isRight ? [] : [{ name: "loras", text: t("make.wrong.range", { low, high }) }];
  }

  #append() {
    const [first] = library.usable("lora");
    if (first === undefined) return;
    const row = this.#row({ name: first.name, weight: 1 });
    this.#rows.append(row);
    row.querySelector("select")?.focus();
    this.#changed();
  }

  /** @param {Lora} lora */
  #row({ name, weight }) {
    const [min, max] = RANGES.lora_weight ?? [];
    const choice = h("select", { "aria-label": t("make.loras.name") }, ..._options(name));
    const amount = h("input", { type: "number", value: String(weight), min, max, step: "any", "aria-label": t("make.loras.weight", { name }) });
    choice.addEventListener("change", () => amount.setAttribute("aria-label", t("make.loras.weight", { name: choice.value })));
    const remove = h("button", { type: "button", className: "icon quiet", "aria-label": t("make.loras.remove", { name }) }, icon("close"));
    const row = h("div", { className: "lora-row" }, choice, amount, remove);
    remove.addEventListener("click", () => {
      row.remove();
      this.#add.focus();
      this.#changed();
    });
    return row;
  }

  #changed() {
    this.#show();
    this.dispatchEvent(new Event("change", { bubbles: true }));
  }

  #show() {
    const count = this.#rows.children.length;
    this.#count.hidden = count === 0;
    say(this.#count, String(count));
    const isEmpty = library.usable("lora").length === 0;
    this.#none.hidden = !isEmpty;
    this.#add.hidden = isEmpty;
    this.#add.disabled = count >= MOST.loras;
  }

  /** Offer what the library has now; what is chosen stays chosen. */
  #offer() {
    for (const choice of this.#rows.querySelectorAll("select")) choice.replaceChildren(..._options(choice.value));
    this.#show();
  }
}

/**
 * @param {string} chosen - offered even if it is not there: the server says so.
 * @returns {HTMLElement[]}
 */
function _options(chosen) {
  const names = library.usable("lora").map(({ name }) => name);
  if (!names.includes(chosen)) names.unshift(chosen);
  return names.map((name) => h("option", { value: name, selected: name === chosen }, name));
}

customElements.define("sl-lora-list", LoraList);
