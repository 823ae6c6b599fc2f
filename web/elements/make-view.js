/** The view make. */

import { h } from "../dom.js";
import { t } from "../words/words.js";

export class MakeView extends HTMLElement {
  connectedCallback() {
    this.replaceChildren(h("h1", {}, t("shell.make")));
  }
}

customElements.define("sl-make-view", MakeView);
