/** How far the job is that makes the next version, and how to stop it. Fires `cancel`. */

import { h, say } from "../dom.js";
import { standing, taskName } from "../job-words.js";
import { t } from "../words/words.js";

export class EditProgress extends HTMLElement {
  #name = h("strong");
  #words = h("span", { className: "soft numbers" });
  #bar = h("progress", { max: 1 });
  #cancel = h("button", { type: "button", className: "small" }, t("shell.cancel"));

  connectedCallback() {
    if (this.firstChild !== null) return;
    this.hidden = true;
    this.#bar.setAttribute("aria-label", t("edit.progress"));
    this.#cancel.addEventListener("click", () => this.dispatchEvent(new Event("cancel")));
    this.append(h("div", { className: "edit-progress-words" }, this.#name, this.#words), this.#bar, this.#cancel);
  }

  /** @param {import("../state.js").JobState | null} entry */
  show(entry) {
    const had = !this.hidden && this.contains(document.activeElement);
    this.hidden = entry === null;
    if (entry === null) {
      if (had) this.dispatchEvent(new Event("left"));
      return;
    }
    say(this.#name, taskName(entry.job.task));
    say(this.#words, standing(entry));
    this.#cancel.disabled = entry.job.cancel_requested === true;
    if (entry.live.progress === undefined) this.#bar.removeAttribute("value");
    else this.#bar.value = entry.live.progress;
  }
}

customElements.define("sl-edit-progress", EditProgress);
