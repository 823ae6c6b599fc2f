/** What a dropped picture was made with, as its file says it. Event `use` with the file when somebody wants to go on from it. */

import { app } from "../app.js";
import { h, say } from "../dom.js";
import { t } from "../words/words.js";

export class RecipeDialog extends HTMLElement {
  #leaving = new AbortController();
  #asking = new AbortController();

  disconnectedCallback() {
    this.#leaving.abort();
    this.#asking.abort();
  }

  /** @param {File} file - a picture. */
  async show(file) {
    this.#asking.abort();
    this.#asking = new AbortController();
    const { signal } = this.#asking;
    const url = URL.createObjectURL(file);
    const told = h("div", { className: "recipe-told", "aria-live": "polite" }, h("p", { className: "soft" }, t("history.loading")));
    const use = h("button", { className: "primary", value: "use" }, t("recipe.use"));
    const dialog = h(
      "dialog",
      { className: "recipe", "aria-labelledby": "recipe-title" },
      h(
        "form",
        { method: "dialog", className: "dialog-form" },
        h("h2", { id: "recipe-title" }, t("recipe.title")),
        h("div", { className: "recipe-body" }, h("img", { src: url, alt: t("recipe.picture", { name: file.name }) }), told),
        h("div", { className: "row" }, h("button", { value: "" }, t("shell.close")), use),
      ),
    );
    this.replaceChildren(dialog);
    dialog.addEventListener(
      "close",
      () => {
        this.#asking.abort();
        URL.revokeObjectURL(url);
        if (dialog.returnValue === "use") this.dispatchEvent(new CustomEvent("use", { detail: file }));
        dialog.remove();
      },
      { once: true },
    );
    dialog.showModal();
    try {
      const { scheme, text, recipe } = await app.client.api.recipe(file, { signal });
      if (signal.aborted) return;
      told.replaceChildren(...this.#words(scheme, text, recipe));
      if (recipe == null) say(use, t("recipe.start"));
    } catch (error) {
      if (signal.aborted) return;
      dialog.close();
      app.notices.tell(error);
    }
  }

  /**
   * @param {string | null | undefined} scheme
   * @param {string | null | undefined} text
   * @param {object | null | undefined} recipe
   * @returns {Node[]}
   */
  #words(scheme, text, recipe) {
    if (!text) return [h("p", {}, t("recipe.none"))];
    const entries = Object.entries(recipe ?? {}).filter(([, value]) => {
      return value !== null && value !== "" && !(Array.isArray(value) && value.length === 0);
    });
    return [
      h("p", { className: "soft" }, scheme ? t("recipe.scheme", { scheme }) : t("recipe.unknown")),
      h("dl", { className: "facts" }, ...entries.flatMap(([name, value]) => [h("dt", {}, name), h("dd", { translate: false }, _shown(value))])),
      h("details", {}, h("summary", {}, t("recipe.text")), h("pre", { className: "stage-words", tabIndex: 0 }, text)),
    ];
  }
}

/**
 * @param {unknown} value
 * @returns {string}
 */
function _shown(value) {
  if (typeof value !== "object") return String(value);
  if (Array.isArray(value) && value.every((each) => typeof each !== "object")) return value.join(", ");
  return JSON.stringify(value, (_, each) => (typeof each === "bigint" ? String(each) : each));
}

customElements.define("sl-recipe-dialog", RecipeDialog);
