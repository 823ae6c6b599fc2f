/**
 * Finds the object under clicks, or the subject of the picture, and proposes it; it counts once it is accepted. Fires
 * `changed` when there is something else to show.
 */

import { app } from "../app.js";
import { h, say } from "../dom.js";
import { t } from "../words/words.js";

/**
 * @typedef {import("../editing/mask.js").Mask} Mask
 * @typedef {import("../editing/viewport.js").Point & {include: boolean}} Click
 */

export class ObjectFinder extends HTMLElement {
  #standing = h("p", { className: "soft", role: "status" });
  #accept = h("button", { type: "button", className: "primary" }, t("edit.object.add"));
  #subtract = h("button", { type: "button" }, t("edit.object.subtract"));
  #discard = h("button", { type: "button", className: "quiet" }, t("edit.object.discard"));
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
    this.append(h("p", { className: "field-help" }, t("edit.object.help")), this.#standing, this.#then);
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
    this.#asking?.abort();
    this.#asking = null;
    this.#clicks = [];
    this.#found = null;
    this.canvas.mark({ points: [] });
    this.canvas.propose(null);
    this.#show();
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
      this.#found = mask;
      this.canvas.propose(mask);
      app.notices.announce(t("edit.object.found"));
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
