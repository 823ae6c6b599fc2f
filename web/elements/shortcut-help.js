/** The list of what which key does, as it works where one is. */

import { app } from "../app.js";
import { h } from "../dom.js";
import { t } from "../words/words.js";

export class ShortcutHelp extends HTMLElement {
  #leaving = new AbortController();

  connectedCallback() {
    this.#leaving = new AbortController();
    const { signal } = this.#leaving;
    const dialog = h("dialog", { "aria-labelledby": "shortcuts-title" });
    this.replaceChildren(dialog);
    const open = () => {
      dialog.replaceChildren(this.#content(() => dialog.close()));
      if (!dialog.open) dialog.showModal();
    };
    this.addEventListener("ask", open, { signal });
    app.shortcuts.add([{ keys: "?", words: "shortcuts.help", action: open }], { signal });
  }

  disconnectedCallback() {
    this.#leaving.abort();
  }

  /** @param {() => void} close */
  #content(close) {
    const rows = app.shortcuts.current.map(({ keys, words }) =>
      h("tr", {}, h("td", {}, ...keys.split(/(?<=.)\+/).map((key) => h("kbd", {}, key))), h("td", {}, t(words))),
    );
    return h(
      "div",
      { className: "dialog-form" },
      h("h2", { id: "shortcuts-title" }, t("shortcuts.title")),
      h(
        "table",
        { className: "shortcut-table" },
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("shortcuts.key")), h("th", { scope: "col" }, t("shortcuts.does")))),
        h("tbody", {}, ...rows),
      ),
      h("div", { className: "row" }, h("button", { type: "button", onclick: close }, t("shell.close"))),
    );
  }
}

customElements.define("sl-shortcut-help", ShortcutHelp);
