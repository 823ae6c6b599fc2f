/** Asks before something is done that cannot be undone. */

import { h, uniqueId } from "../dom.js";
import { t } from "../words/words.js";

export class ConfirmDialog extends HTMLElement {
  /**
   * @param {{title: string, text?: string, action: string}} words - `action` stands on the button that does it.
   * @returns {Promise<boolean>} whether it is to be done.
   */
  ask({ title, text, action }) {
    const id = uniqueId("confirm");
    const does = h("button", { className: "danger", value: "yes" }, action);
    const dialog = h(
      "dialog",
      { "aria-labelledby": id, role: "alertdialog" },
      h(
        "form",
        { method: "dialog", className: "dialog-form" },
        h("h2", { id }, title),
        text && h("p", {}, text),
        h("div", { className: "row" }, h("button", { value: "no", autofocus: true }, t("shell.cancel")), does),
      ),
    );
    this.replaceChildren(dialog);
    dialog.showModal();
    return new Promise((resolve) => {
      dialog.addEventListener(
        "close",
        () => {
          resolve(dialog.returnValue === "yes");
          dialog.remove();
        },
        { once: true },
      );
    });
  }
}

customElements.define("sl-confirm-dialog", ConfirmDialog);
