/** One ended job in the grid of the history: its first picture, what it is, and whether it is chosen. */

import { app } from "../app.js";
import { h, say } from "../dom.js";
import { subject, taskName } from "../job-words.js";
import { shortTime } from "../times.js";
import { number, t } from "../words/words.js";

/** @typedef {import("../client/index.js").JobSnapshot} Job */

/** The server makes copies of this size; sharp at two pixels for each of the page's. */
export const THUMBNAIL_PX = 256;

/** A tile that passes by faster than this asks for no picture. */
const PASSES_MS = 80;

export class JobTile extends HTMLElement {
  #leaving = new AbortController();
  #image = h("img", { alt: "", draggable: false, decoding: "async" });
  #sign = h("span", { className: "tile-sign" });
  #count = h("span", { className: "tile-badge numbers" });
  #title = h("span", { className: "tile-title" });
  #line = h("span", { className: "tile-line numbers" });
  /** @type {Job | undefined} */
  #job;
  /** @type {number | undefined} */
  #clock;
  #isSettled = false;

  connectedCallback() {
    this.#leaving = new AbortController();
    this.#clock = setTimeout(() => this.#showPicture(), PASSES_MS);
    if (this.childElementCount > 0) return;
    this.setAttribute("role", "option");
    this.#image.onerror = () => this.#showWords();
    this.append(
      h("span", { className: "tile-picture" }, this.#image, this.#sign, this.#count),
      h("span", { className: "tile-check", "aria-hidden": "true" }),
      // A space between what is read out.
      this.#title,
      " ",
      this.#line,
    );
  }

  disconnectedCallback() {
    this.#leaving.abort();
    clearTimeout(this.#clock);
    this.#isSettled = false;
    // A picture that is still on its way is not wanted any more.
    if (!this.#image.complete) this.#image.removeAttribute("src");
  }

  /** @param {Job | undefined} job - nothing while it is on its way again. */
  set job(job) {
    if (job === this.#job && job !== undefined) return;
    this.#job = job;
    this.toggleAttribute("pending", job === undefined);
    if (job === undefined) {
      say(this.#title, t("history.loading"));
      return;
    }
    const { task, status, outputs } = job;
    const name = taskName(task);
    const words = subject(job);
    this.setAttribute("status", status);
    this.title = words.slice(0, 400);
    say(this.#title, words === "" ? name : words);
    say(this.#line, words === "" ? shortTime(job.created_at) : `${name} · ${shortTime(job.created_at)}`);
    const hasMany = outputs.length > 1;
    say(this.#count, hasMany ? number(outputs.length) : status === "succeeded" ? "" : t(`status.${status}`));
    this.#count.hidden = this.#count.textContent === "";
    if (hasMany) this.#count.append(h("span", { className: "for-screen-readers" }, ` ${t("history.pictures")}`));
    const isShown = outputs.length > 0;
    this.#image.hidden = !isShown;
    this.#sign.hidden = isShown;
    if (!isShown) say(this.#sign, name);
    if (this.#isSettled) this.#showPicture();
  }

  #showPicture() {
    this.#isSettled = true;
    const job = this.#job;
    const output = job?.outputs[0];
    if (job === undefined || output === undefined) return;
    const { signal } = this.#leaving;
    app.pictures.show(this.#image, job.id, output.index, { maxSidePx: THUMBNAIL_PX, signal }).catch(() => this.#showWords());
  }

  /** There is no picture: it has expired since, or the connection is away, which is shown elsewhere. */
  #showWords() {
    if (this.#job === undefined) return;
    this.#image.hidden = true;
    this.#sign.hidden = false;
    say(this.#sign, taskName(this.#job.task));
  }
}

customElements.define("sl-job-tile", JobTile);
