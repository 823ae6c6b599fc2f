/** The view edit. */

import { h } from "../dom.js";
import { t } from "../words/words.js";

export class EditView extends HTMLElement {
  connectedCallback() {
    this.replaceChildren(h("h1", {}, t("shell.edit")));
  }
}

customElements.define("sl-edit-view", EditView);
