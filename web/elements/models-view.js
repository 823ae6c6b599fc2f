/** The view models. */

import { h } from "../dom.js";
import { t } from "../words/words.js";

export class ModelsView extends HTMLElement {
  connectedCallback() {
    this.replaceChildren(h("h1", {}, t("shell.models")));
  }
}

customElements.define("sl-models-view", ModelsView);
