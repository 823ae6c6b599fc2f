/** Which jobs of the history are listed. Event `filter` with the filter as its detail when somebody has changed it. */

import { TASKS } from "../client/index.js";
import { h, uniqueId } from "../dom.js";
import { taskName } from "../job-words.js";
import { t } from "../words/words.js";

/** @typedef {import("../job-list.js").Filter} Filter */

const STATUSES = ["succeeded", "failed", "cancelled"];
/** After the last key, until it counts: typing asks once a word, not once a letter. */
const PAUSE_MS = 350;

export class HistoryFilter extends HTMLElement {
  #words = h("input", { type: "search", autocomplete: "off", placeholder: t("history.search") });
  #status = h("select", {}, h("option", { value: "" }, t("history.anyStatus")), ...STATUSES.map((each) => h("option", { value: each }, t(`status.${each}`))));
  #task = h("select", {}, h("option", { value: "" }, t("history.anyTask")), ...[...TASKS].map((each) => h("option", { value: each }, taskName(each))));
  #before = h("input", { type: "date" });
  #reset = h("button", { type: "button", className: "quiet" }, t("history.reset"));
  /** @type {number | undefined} */
  #clock;

  connectedCallback() {
    if (this.childElementCount > 0) return;
    const fields = [
      [this.#words, "history.words"],
      [this.#status, "history.status"],
      [this.#task, "history.task"],
      [this.#before, "history.before"],
    ];
    this.setAttribute("role", "search");
    this.setAttribute("aria-label", t("history.filter"));
    for (const [field, words] of fields) {
      field.id = uniqueId("filter");
      this.append(h("div", { className: "field" }, h("label", { for: field.id }, t(words)), field));
    }
    this.append(this.#reset);
    this.#words.oninput = () => {
      clearTimeout(this.#clock);
      this.#clock = setTimeout(() => this.#tell(), PAUSE_MS);
    };
    this.#status.onchange = this.#task.onchange = this.#before.onchange = this.#words.onchange = () => this.#tell();
    this.#reset.onclick = () => {
      this.filter = {};
      this.#tell();
      this.#words.focus();
    };
  }

  disconnectedCallback() {
    clearTimeout(this.#clock);
  }

  /** @param {Filter} filter */
  set filter({ q, status, task, before }) {
    if (document.activeElement !== this.#words) this.#words.value = q ?? "";
    this.#status.value = status ?? "";
    this.#task.value = task ?? "";
    this.#before.value = before ?? "";
    this.#reset.hidden = [q, status, task, before].every((each) => each === undefined);
  }

  /** Put the cursor where words are typed. */
  search() {
    this.#words.focus();
    this.#words.select();
  }

  #tell() {
    clearTimeout(this.#clock);
    const entries = { q: this.#words.value.trim(), status: this.#status.value, task: this.#task.value, before: this.#before.value };
    const filter = Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== ""));
    this.dispatchEvent(new CustomEvent("filter", { detail: filter }));
  }
}

customElements.define("sl-history-filter", HistoryFilter);
