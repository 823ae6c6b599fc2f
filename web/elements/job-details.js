/**
 * Everything about one job, in a dialog: its outputs, what was asked for, what happened and when.
 *
 * Events: `leave` when it is to be closed, `turn` with -1 or 1 for the job before or after it, `delete` with its id.
 */

import "./output-stage.js";
import "./parameter-list.js";
import "./timing-list.js";

import { app } from "../app.js";
import { h, say } from "../dom.js";
import { standing, subject, taskName } from "../job-words.js";
import { hasEnded } from "../state.js";
import { warningWords } from "../words/warnings.js";
import { errorWords, t } from "../words/words.js";

/**
 * @typedef {import("../client/index.js").JobSnapshot} Job
 * @typedef {import("../client/index.js").SafelightEvent} SafelightEvent
 * @typedef {import("../state.js").JobState} JobState
 */

export class JobDetails extends HTMLElement {
  #leaving = new AbortController();
  /** Ends what is asked about the job that is shown. */
  #looking = new AbortController();
  #title = h("h2", { id: "details-title", tabIndex: -1 });
  #status = h("span", { className: "tag" });
  #task = h("span", { className: "tag" });
  #standing = h("p", { className: "soft numbers" });
  #error = h("p", { className: "details-error", role: "alert" });
  #warnings = h("ul", { className: "details-warnings" });
  #stage = /** @type {import("./output-stage.js").OutputStage} */ (h("sl-output-stage"));
  #parameters = /** @type {import("./parameter-list.js").ParameterList} */ (h("sl-parameter-list"));
  #timings = /** @type {import("./timing-list.js").TimingList} */ (h("sl-timing-list"));
  #again = this.#button("details.again", () => app.router.go("make", { job: this.#id }));
  #edit = this.#button("details.edit", () => this.#hand("edit", {}));
  #start = this.#button("details.start", () => this.#hand("make", { as: "image" }));
  #end = this.#button("shell.cancel", () => this.#cancel());
  #delete = this.#button("history.delete", () => this.dispatchEvent(new CustomEvent("delete", { detail: this.#id })));
  #before = this.#icon("‹", "details.newer", () => this.#turn(-1));
  #after = this.#icon("›", "details.older", () => this.#turn(1));
  #dialog = h(
    "dialog",
    { className: "details", "aria-labelledby": "details-title" },
    h(
      "div",
      { className: "details-head" },
      this.#before,
      this.#after,
      this.#title,
      this.#icon("×", "shell.close", () => this.#dialog.close()),
    ),
    h(
      "div",
      { className: "details-body" },
      this.#stage,
      h(
        "div",
        { className: "details-facts" },
        h("div", { className: "row" }, this.#task, this.#status),
        this.#standing,
        this.#error,
        this.#warnings,
        h("div", { className: "row" }, this.#again, this.#edit, this.#start, this.#end, this.#delete),
        this.#parameters,
        this.#timings,
      ),
    ),
  );
  #id = "";

  connectedCallback() {
    this.#leaving = new AbortController();
    const { signal } = this.#leaving;
    this.#delete.classList.add("danger");
    this.replaceChildren(this.#dialog);
    this.#dialog.addEventListener("close", () => this.#closed(), { signal });
    this.#dialog.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#press(event), { signal });
    this.#dialog.addEventListener(
      "click",
      (/** @type {MouseEvent} */ event) => {
        if (event.target === this.#dialog) this.#dialog.close(); // beside the dialog, on what it covers
      },
      { signal },
    );
  }

  disconnectedCallback() {
    this.#leaving.abort();
    this.#looking.abort();
  }

  /** Which job is shown; empty while none is. */
  get shownId() {
    return this.#dialog.open ? this.#id : "";
  }

  /**
   * @param {string} id
   * @param {{hasBefore: boolean, hasAfter: boolean}} neighbours
   */
  show(id, { hasBefore, hasAfter }) {
    this.#before.disabled = !hasBefore;
    this.#after.disabled = !hasAfter;
    if (this.shownId === id) return;
    this.#looking.abort();
    this.#looking = new AbortController();
    this.#id = id;
    this.#clear();
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#dialog.scrollTop = 0;
    void this.#follow(id, this.#looking.signal);
  }

  close() {
    if (this.#dialog.open) this.#dialog.close();
  }

  #clear() {
    say(this.#title, t("history.loading"));
    for (const each of [this.#task, this.#status, this.#error, this.#warnings, this.#standing]) each.hidden = true;
    for (const each of [this.#again, this.#edit, this.#start, this.#end, this.#delete]) each.hidden = true;
    this.#warnings.replaceChildren();
    this.#stage.clear();
    this.#parameters.clear();
    this.#timings.clear();
  }

  /**
   * @param {string} id
   * @param {AbortSignal} signal
   */
  async #follow(id, signal) {
    try {
      const job = await app.client.api.job(id, { signal });
      if (signal.aborted) return;
      app.store.put([job]);
      app.store.watch(
        (state) => state.jobs.get(id),
        (entry) => entry && this.#show(entry),
        { signal },
      );
      for await (const event of app.client.watch(id, { signal })) {
        if (signal.aborted) return;
        if (event.n === undefined) this.#hear(event);
      }
    } catch (error) {
      if (signal.aborted) return;
      say(this.#title, t("details.none"));
      this.#error.hidden = false;
      say(this.#error, errorWords(error));
    }
  }

  /** @param {JobState} entry */
  #show(entry) {
    const { job } = entry;
    const ended = hasEnded(entry);
    const name = taskName(job.task);
    const words = subject(job);
    say(this.#title, words === "" ? name : words);
    say(this.#task, name);
    say(this.#status, t(`status.${job.status}`));
    this.#status.dataset.status = job.status;
    this.#task.hidden = this.#status.hidden = false;
    this.#standing.hidden = ended;
    if (!ended) say(this.#standing, standing(entry));
    this.#error.hidden = job.error == null;
    if (job.error != null) say(this.#error, errorWords(job.error));
    const hasPicture = job.outputs.some((output) => output.media_type.startsWith("image/"));
    this.#again.hidden = !MADE.has(job.task);
    this.#edit.hidden = this.#start.hidden = !hasPicture;
    this.#end.hidden = ended;
    this.#end.disabled = job.cancel_requested === true;
    this.#delete.hidden = !ended;
    this.#stage.show(entry);
    this.#parameters.show(job);
    this.#timings.show(job);
  }

  /** @param {SafelightEvent} event */
  #hear(event) {
    this.#timings.hear(event);
    if (event.type !== "job.warning") return;
    const { message, code } = /** @type {{message: string, code: string}} */ (event.data);
    this.#warnings.append(h("li", {}, warningWords({ code, message }), " ", h("code", {}, code)));
    this.#warnings.hidden = false;
  }

  async #cancel() {
    try {
      app.store.put([await app.client.api.cancel(this.#id)]);
    } catch (error) {
      app.notices.tell(error);
    }
  }

  /**
   * @param {string} view
   * @param {Record<string, string>} more
   */
  #hand(view, more) {
    app.router.go(view, { picture: `job:${this.#id}/${this.#stage.number}`, ...more });
  }

  /** @param {number} by */
  #turn(by) {
    this.dispatchEvent(new CustomEvent("turn", { detail: by }));
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || /** @type {Element} */ (event.target).matches("input, select, summary")) return;
    if (event.key === "ArrowLeft" && !this.#before.disabled) this.#turn(-1);
    else if (event.key === "ArrowRight" && !this.#after.disabled) this.#turn(1);
    else return;
    event.preventDefault();
  }

  #closed() {
    this.#looking.abort();
    this.#stage.clear();
    this.dispatchEvent(new CustomEvent("leave"));
  }

  /**
   * @param {string} words
   * @param {() => void} act
   * @returns {HTMLButtonElement}
   */
  #button(words, act) {
    return h("button", { type: "button", className: "small", onclick: act }, t(words));
  }

  /**
   * @param {string} sign
   * @param {string} words
   * @param {() => void} act
   * @returns {HTMLButtonElement}
   */
  #icon(sign, words, act) {
    return h("button", { type: "button", className: "quiet icon", "aria-label": t(words), title: t(words), onclick: act }, sign);
  }
}

/** Tasks whose form is that of the view Make. */
const MADE = new Set(["text_to_image", "image_to_image"]);

customElements.define("sl-job-details", JobDetails);
