/** What to do with a picture that somebody has dropped or pasted: start from it, use what it was made with, or edit it. */

import { app } from "../app.js";
import { h, say, uniqueId } from "../dom.js";
import { errorWords, t } from "../words/words.js";
import { wishFromRecipe } from "../wish.js";

/** Fires `start` with the file, or `settings` with the wish its file tells, as the `detail`. */
export class PictureOffer extends HTMLElement {
  #leaving = new AbortController();
  #asking = new AbortController();
  /** @type {File | null} */
  #file = null;
  /** @type {Record<string, any> | null} */
  #recipe = null;
  #url = "";
  #image = h("img", { alt: "" });
  #told = h("p", { className: "soft", role: "status", dir: "auto" });
  #start = h("button", { type: "button", className: "primary" }, t("make.offer.start"));
  #settings = h("button", { type: "button" }, t("make.offer.settings"));
  #edit = h("button", { type: "button" }, t("make.offer.edit"));
  #dialog = h("dialog", { className: "offer" });

  connectedCallback() {
    this.#leaving = new AbortController();
    const { signal } = this.#leaving;
    const title = uniqueId("offer");
    this.#dialog.setAttribute("aria-labelledby", title);
    this.#dialog.replaceChildren(
      h(
        "div",
        { className: "dialog-form" },
        h("h2", { id: title }, t("make.offer")),
        h("div", { className: "offer-picture" }, this.#image, this.#told),
        h("div", { className: "row" }, h("button", { type: "button", className: "quiet", onclick: () => this.#dialog.close() }, t("shell.cancel")), this.#edit, this.#settings, this.#start),
      ),
    );
    this.#start.addEventListener("click", () => this.#leave("start", this.#file), { signal });
    this.#settings.addEventListener("click", () => this.#leave("settings", wishFromRecipe(this.#recipe ?? {})), { signal });
    this.#edit.addEventListener("click", () => void this.#goEdit(), { signal });
    this.#dialog.addEventListener("close", () => this.#forget(), { signal });
    this.replaceChildren(this.#dialog);
  }

  disconnectedCallback() {
    this.#leaving.abort();
    this.#forget();
  }

  /** @param {File} file */
  open(file) {
    this.#forget();
    this.#asking = new AbortController();
    this.#file = file;
    this.#url = URL.createObjectURL(file);
    this.#image.src = this.#url;
    this.#settings.hidden = true;
    say(this.#told, t("make.offer.looking"));
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#start.focus();
    void this.#read(file, this.#asking.signal);
  }

  /**
   * @param {File} file
   * @param {AbortSignal} signal
   */
  async #read(file, signal) {
    try {
      const { recipe } = await app.client.api.recipe(file, { signal });
      if (signal.aborted) return;
      this.#recipe = recipe ?? null;
      this.#settings.hidden = recipe == null;
      say(this.#told, recipe == null ? t("make.offer.nothing") : (recipe.prompt ?? t("make.offer.found")));
    } catch (error) {
      if (!signal.aborted) say(this.#told, errorWords(error));
    }
  }

  /**
   * @param {string} type
   * @param {unknown} detail
   */
  #leave(type, detail) {
    this.#dialog.close();
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  async #goEdit() {
    const { signal } = this.#asking;
    const file = this.#file;
    if (file === null) return;
    this.#edit.disabled = true;
    try {
      const { ref } = await app.client.api.upload(file, { name: file.name, signal });
      this.#dialog.close();
      app.router.go("edit", { picture: ref });
    } catch (error) {
      if (!signal.aborted) app.notices.tell(error);
    } finally {
      this.#edit.disabled = false;
    }
  }

  #forget() {
    this.#asking.abort();
    this.#image.removeAttribute("src");
    URL.revokeObjectURL(this.#url);
  }
}

customElements.define("sl-picture-offer", PictureOffer);
