/**
 * Finds the object under clicks, what words name, or the subject of the picture, and proposes it; it counts once it is accepted. Fires
 * `changed` when there is something else to show.
 */

import { app } from "../app.js";
import { h, say, uniqueId } from "../dom.js";
import { t } from "../words/words.js";

/**
 * @typedef {import("../editing/mask.js").Mask} Mask
 * @typedef {import("../editing/viewport.js").Point & {include: boolean}} Click
 */

export class ObjectFinder extends HTMLElement {
  #standing = h("p", { className: "soft", role: "status" });
  #accept = h("button", { type: "button", className: "primary small" }, t("edit.object.add"));
  #subtract = h("button", { type: "button", className: "small" }, t("edit.object.subtract"));
  #discard = h("button", { type: "button", className: "quiet small" }, t("edit.object.discard"));
  #name = h("input", { type: "text", id: uniqueId("object"), placeholder: t("edit.object.words.example"), required: true, maxLength: 1000, autocomplete: "off" });
  #find = h("button", { type: "submit" }, t("edit.object.words.find"));
  #words = h(
    "form",
    { className: "field" },
    h("label", { for: this.#name.id }, t("edit.object.words")),
    h("div", { className: "field-row" }, this.#name, this.#find),
  );
  #then = h("div", { className: "row", hidden: true }, this.#accept, this.#subtract, this.#discard);
  /** @type {Click[]} */
  #clicks = [];
  /** @type {Mask | null} */
  #found = null;
  /** The question that is asked now. @type {AbortController | null} */
  #asking = null;

  /**
   * @param {import("../editing/workbench.js").Workbench} bench
   * @param {import("./mask-canvas.js").MaskCanvas} canvas
   */
  constructor(bench, canvas) {
    super();
    this.bench = bench;
    this.canvas = canvas;
  }

  connectedCallback() {
    if (this.firstChild !== null) return;
    this.#accept.addEventListener("click", () => this.#take(1));
    this.#subtract.addEventListener("click", () => this.#take(0));
    this.#discard.addEventListener("click", () => this.forget());
    this.#words.addEventListener("submit", (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      this.#forgetClicks();
      void this.#ask("segment", { text: this.#name.value.trim() });
    });
    this.append(h("p", { className: "field-help" }, t("edit.object.help")), this.#words, this.#standing, this.#then);
  }

  /** Whether there is something to accept, or it is on its way. */
  get isBusy() {
    return this.#found !== null || this.#asking !== null;
  }

  /**
   * Look again, with one more click.
   *
   * @param {Click} click
   */
  async add(click) {
    this.#asking?.abort();
    this.#asking = null;
    this.#clicks = [...this.#clicks, click];
    this.canvas.mark({ points: this.#clicks });
    // What does not belong to an object is said of one that is clicked on.
    if (this.#clicks.some((each) => each.include)) await this.#ask("segment", { points: this.#clicks });
    else this.#show();
  }

  /** Look for what the picture is of. */
  async findSubject() {
    this.forget();
    await this.#ask("remove_background", { result: "mask" });
  }

  /** Drop what was found, and what is asked. */
  forget() {
    this.#forgetClicks();
    this.#found = null;
    this.canvas.propose(null);
    this.#show();
  }

  #forgetClicks() {
    this.#asking?.abort();
    this.#asking = null;
    this.#clicks = [];
    this.canvas.mark({ points: [] });
  }

  /**
   * @param {string} task
   * @param {Record<string, unknown>} params
   */
  async #ask(task, params) {
    const asking = new AbortController();
    this.#asking = asking;
    this.#show();
    try {
      const { mask } = await this.bench.find(task, params, asking.signal);
      const isAny = !mask.isEmpty;
      this.#found = isAny ? mask : null;
      this.canvas.propose(this.#found);
      if (isAny) app.notices.announce(t("edit.object.found"));
      else app.notices.show({ kind: "info", text: t("edit.object.none") });
    } catch (error) {
      if (!asking.signal.aborted) app.notices.tell(error);
    }
    if (this.#asking === asking) this.#asking = null;
    this.#show();
  }

  /** @param {0 | 1} value */
  #take(value) {
    const found = this.#found;
    if (found !== null) this.canvas.change((mask) => mask.merge(found, value));
    this.forget();
    this.canvas.focus();
  }

  #show() {
    const isLooking = this.#asking !== null;
    say(this.#standing, isLooking ? t("edit.looking") : this.#found === null ? "" : t("edit.object.found"));
    this.#then.hidden = this.#found === null && this.#clicks.length === 0;
    this.#accept.disabled = this.#subtract.disabled = this.#found === null || isLooking;
  }
}

customElements.define("sl-object-finder", ObjectFinder);
