/** Which styles are put around the prompt: found by their names, ticked, and shown as they will be applied. */

import { app } from "../app.js";
import { h, say, uniqueId } from "../dom.js";
import { wrong } from "../field.js";
import { library } from "../library.js";
import { MOST } from "../ranges.js";
import { t } from "../words/words.js";

/** @typedef {import("../library.js").StyleInfo} StyleInfo */

/** Fires `change`, which bubbles. */
export class StylePicker extends HTMLElement {
  /** @type {string[]} in the order they are applied. */
  #chosen = [];
  #leaving = new AbortController();
  #count = h("span", { className: "tag", hidden: true });
  #chips = h("ul", { className: "chips picked", "aria-label": t("make.styles.chosen") });
  #search = h("input", { type: "search", id: uniqueId("styles"), autocomplete: "off", placeholder: t("make.styles.search") });
  #list = h("ul", { className: "style-list", tabIndex: -1 });
  #none = h("p", { className: "soft", role: "status" });
  /** @type {Map<string, {row: HTMLElement, box: HTMLInputElement, text: string}>} */
  #rows = new Map();

  connectedCallback() {
    this.#leaving = new AbortController();
    const { signal } = this.#leaving;
    const details = h(
      "details",
      { className: "fold" },
      h("summary", {}, t("make.styles"), this.#count),
      h(
        "div",
        { className: "fold-body", "data-field": "styles" },
        this.#chips,
        h("label", { for: this.#search.id, className: "for-screen-readers" }, t("make.styles.search")),
        this.#search,
        this.#none,
        this.#list,
        wrong(),
      ),
    );
    // The rows are made when somebody looks at them first: there are hundreds.
    details.addEventListener("toggle", () => details.open && void this.#open(), { signal });
    this.#search.addEventListener("input", () => this.#filter(), { signal });
    library.addEventListener("change", () => details.open && this.#fill(), { signal });
    this.replaceChildren(details);
    this.#show();
  }

  disconnectedCallback() {
    this.#leaving.abort();
  }

  /** @returns {readonly string[]} */
  get value() {
    return this.#chosen;
  }

  set value(names) {
    this.#chosen = [...names];
    this.#show();
  }

  async #open() {
    this.#fill();
    try {
      await library.wantStyles();
    } catch (error) {
      app.notices.tell(error);
    }
  }

  #fill() {
    const known = library.styles.map(({ name }) => name).join("\n");
    if (this.#list.dataset.known === known) return;
    this.#list.dataset.known = known;
    this.#rows = new Map(library.styles.map((style) => [style.name, this.#row(style)]));
    this.#list.replaceChildren(...[...this.#rows.values()].map(({ row }) => row));
    this.#filter();
  }

  /** @param {StyleInfo} style */
  #row({ name, prompt }) {
    const box = h("input", { type: "checkbox", checked: this.#chosen.includes(name) });
    box.addEventListener("change", () => this.#tick(name, box.checked));
    const hint = (prompt ?? "").replace("{prompt}", "…");
    const row = h("li", {}, h("label", { className: "check", title: hint }, box, h("span", {}, name)));
    return { row, box, text: name.toLowerCase() };
  }

  #filter() {
    const words = this.#search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { row, text } of this.#rows.values()) {
      const fits = words.every((/** @type {string} */ word) => text.includes(word));
      row.hidden = !fits;
      if (fits) shown += 1;
    }
    say(this.#none, shown === 0 ? t("make.styles.none") : words.length > 0 ? t("make.styles.found", { count: shown }) : "");
  }

  /**
   * @param {string} name
   * @param {boolean} isChosen
   */
  #tick(name, isChosen) {
    this.#chosen = this.#chosen.filter((each) => each !== name);
    if (isChosen) this.#chosen.push(name);
    this.#show();
    this.dispatchEvent(new Event("change", { bubbles: true }));
  }

  #show() {
    const isFull = this.#chosen.length >= MOST.styles;
    for (const [name, { box }] of this.#rows) {
      box.checked = this.#chosen.includes(name);
      box.disabled = isFull && !box.checked;
    }
    this.#count.hidden = this.#chosen.length === 0;
    say(this.#count, String(this.#chosen.length));
    this.#chips.hidden = this.#chosen.length === 0;
    this.#chips.replaceChildren(
      ...this.#chosen.map((name) =>
        h(
          "li",
          {},
          h(
            "button",
            { type: "button", className: "chip-button", "aria-label": t("make.styles.remove", { name }), onclick: () => this.#drop(name) },
            name,
            " ×",
          ),
        ),
      ),
    );
  }

  /** @param {string} name */
  #drop(name) {
    this.#tick(name, false);
    const next = /** @type {HTMLElement | null} */ (this.#chips.querySelector("button"));
    (next ?? this.#search).focus();
  }
}

customElements.define("sl-style-picker", StylePicker);
