/** Asks for an API key when the server wants one, and again when it has ceased to accept it. */

import { app } from "../app.js";
import { h } from "../dom.js";
import { keepKey } from "../saved-key.js";
import { t } from "../words/words.js";

export class KeyDialog extends HTMLElement {
  #leaving = new AbortController();

  connectedCallback() {
    this.#leaving = new AbortController();
    const { signal } = this.#leaving;
    const field = h("input", { id: "api-key", type: "password", required: true, autocomplete: "off", spellcheck: false });
    const remember = h("input", { type: "checkbox" });
    const expired = h("p", { className: "soft", role: "alert", hidden: true }, t("key.expired"));
    const form = h(
      "form",
      { method: "dialog", className: "dialog-form" },
      h("h2", { id: "key-title" }, t("key.title")),
      expired,
      h("div", { className: "field" }, h("label", { for: "api-key" }, t("key.field")), field),
      h("label", { className: "check" }, remember, t("key.remember")),
      h("p", { className: "field-help" }, t("key.help")),
      h(
        "div",
        { className: "row" },
        h("button", { type: "button", className: "quiet", onclick: () => dialog.close() }, t("shell.cancel")),
        h("button", { className: "primary" }, t("key.use")),
      ),
    );
    const dialog = h("dialog", { "aria-labelledby": "key-title" }, form);
    form.addEventListener(
      "submit",
      () => {
        keepKey(field.value.trim(), remember.checked);
        app.client.setKey(field.value.trim());
        field.value = "";
      },
      { signal },
    );
    this.replaceChildren(dialog);
    const open = () => {
      expired.hidden = !app.client.hasKey;
      if (!dialog.open) dialog.showModal();
    };
    this.addEventListener("ask", open, { signal });
    app.store.watch(
      (state) => state.connection,
      ({ phase, code }) => {
        if (phase === "refused" && code === "unauthorized") open();
      },
      { signal },
    );
  }

  disconnectedCallback() {
    this.#leaving.abort();
  }
}

customElements.define("sl-key-dialog", KeyDialog);
