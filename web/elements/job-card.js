/** One job: its pictures as they develop, how far it is, what became of it, and what can be done with it. */

import { app } from "../app.js";
import { h, say, uniqueId } from "../dom.js";
import { icon } from "../icons.js";
import * as actions from "../job-actions.js";
import { facts, loadingOf, shapeOf } from "../job-facts.js";
import { percent, standing, subject, taskName } from "../job-words.js";
import { hasEnded } from "../state.js";
import { FORM_TASKS } from "../wish.js";
import { warningWords } from "../words/warnings.js";
import { errorWords, t } from "../words/words.js";
import { address } from "../router.js";
import "./job-picture.js";

/**
 * @typedef {import("../state.js").JobState} JobState
 * @typedef {import("./job-picture.js").JobPicture} JobPicture
 */

/** So many pictures have a frame from the beginning. */
const FRAMES = 9;

/** Fires `open`, which bubbles, with the number of a picture as its `detail`. */
export class JobCard extends HTMLElement {
  #leaving = new AbortController();
  #id = "";
  /** @type {JobState | undefined} */
  #shown;
  /** @type {JobPicture[]} */
  #pictures = [];
  #frame = h("div", { className: "job-pictures" });
  #title = h("h2", { className: "job-title", id: uniqueId("job"), dir: "auto" });
  #standing = h("p", { className: "job-standing numbers" });
  #progress = h("progress", { max: 1 });
  #error = h("p", { className: "job-error", hidden: true });
  #warnings = h("ul", { className: "job-warnings", hidden: true });
  #facts = h("p", { className: "job-facts soft numbers" });
  #buttons = h("div", { className: "job-buttons" });
  #buttonsFor = "";

  /** The job's id; set before the card is put into the document. @param {string} id */
  set jobId(id) {
    this.#id = id;
  }

  get jobId() {
    return this.#id;
  }

  connectedCallback() {
    this.#leaving = new AbortController();
    const { signal } = this.#leaving;
    this.#progress.setAttribute("aria-labelledby", this.#title.id);
    this.#pictures = [];
    this.#frame.replaceChildren();
    this.#shown = undefined;
    this.#buttonsFor = "";
    this.replaceChildren(
      h(
        "article",
        { className: "job-card card", "aria-labelledby": this.#title.id },
        this.#frame,
        h("div", { className: "job-body" }, h("div", { className: "job-head" }, this.#title, _details(this.#id)), this.#standing, this.#progress, this.#error, this.#warnings, this.#facts, this.#buttons),
      ),
    );
    app.store.watch(
      (state) => state.jobs.get(this.#id),
      (entry) => entry !== undefined && this.#show(entry),
      { signal },
    );
    app.store.watch(
      ({ connection }) => connection.phase === "open",
      (isOpen) => isOpen && this.#pictures.forEach((picture) => picture.retry()),
      { signal },
    );
    app.store.watch(
      (state) => state.models,
      () => this.#shown !== undefined && this.#showStanding(this.#shown),
      { signal },
    );
  }

  disconnectedCallback() {
    this.#leaving.abort();
  }

  /** @param {JobState} entry */
  #show(entry) {
    const before = this.#shown;
    this.#shown = entry;
    const { job, warnings } = entry;
    if (before?.job !== job) {
      this.dataset.status = job.status;
      say(this.#title, subject(job) || taskName(job.task));
      this.#title.title = this.#title.textContent ?? "";
      say(this.#facts, facts(job));
      this.#error.hidden = job.error == null;
      if (job.error != null) say(this.#error, errorWords(job.error));
      this.#showButtons(entry);
    }
    if (before?.warnings !== warnings) {
      this.#warnings.hidden = warnings.length === 0;
      this.#warnings.replaceChildren(...warnings.map((warning) => h("li", { title: warning.message }, warningWords(warning))));
    }
    this.#showPictures(entry);
    this.#showStanding(entry);
    if (before === undefined && job.status === "running") void this.#askPreview(entry);
  }

  /** @param {JobState} entry */
  #showStanding(entry) {
    const isOver = hasEnded(entry);
    const loading = loadingOf(entry, app.store.state.models);
    this.#progress.hidden = isOver;
    if (isOver) say(this.#standing, this.#ended(entry));
    else if (loading === null) say(this.#standing, standing(entry));
    else say(this.#standing, t("make.card.loading", { share: loading.total > 0 ? percent(loading.done / loading.total) : "" }).trim());
    if (!isOver) this.#showProgress(entry);
  }

  /** @param {JobState} entry */
  #ended({ job, skipped }) {
    const words = job.status === "succeeded" ? "" : t(`status.${job.status}`);
    return [words, skipped.length > 0 ? t("make.card.skipped", { count: skipped.length }) : ""].filter(Boolean).join(" · ");
  }

  /** @param {JobState} entry */
  #showProgress({ job, live }) {
    // Without a value the bar says that something is done, and not how much.
    if (job.status === "running" && live.progress === undefined) this.#progress.removeAttribute("value");
    else this.#progress.value = live.progress ?? 0;
  }

  /** @param {JobState} entry */
  #showPictures(entry) {
    const { job, live, skipped } = entry;
    const isOver = hasEnded(entry);
    const wanted = isOver ? Math.max(0, ...job.outputs.map(({ index }) => index + 1)) : _count(job);
    // Frames of very many pictures come as their turn does.
    this.#grow(isOver ? wanted : Math.min(wanted, Math.max(FRAMES, job.outputs.length + skipped.length + 1)));
    const shape = shapeOf(entry, app.store.state.jobs);
    for (const [index, picture] of this.#pictures.entries()) {
      const output = job.outputs.find((each) => each.index === index);
      const isLeftOut = skipped.includes(index) || (isOver && output === undefined);
      picture.hidden = isLeftOut;
      if (isLeftOut) continue;
      if (output?.width != null && output.height != null) picture.frame(output.width, output.height);
      else if (shape !== null) picture.frame(shape.width, shape.height);
      if (output !== undefined) picture.finish();
      else if (live.preview?.image === index) picture.develop(live.preview);
      picture.name = t(output === undefined ? "make.card.developing" : "make.card.open", { number: index + 1, count: wanted, title: this.#title.textContent ?? "" });
      picture.toggleAttribute("at-work", job.status === "running" && output === undefined && (live.image ?? 0) === index);
    }
    const count = this.#pictures.filter(({ hidden }) => !hidden).length;
    this.#frame.hidden = count === 0;
    this.#frame.dataset.columns = String(count <= 1 ? 1 : count <= 4 ? 2 : count <= 9 ? 3 : count <= 16 ? 4 : 6);
  }

  /** @param {number} count */
  #grow(count) {
    while (this.#pictures.length < count) {
      const picture = /** @type {JobPicture} */ (h("sl-job-picture"));
      picture.stand(this.#id, this.#pictures.length);
      this.#pictures.push(picture);
      this.#frame.append(picture);
    }
  }

  /**
   * Of a job that ran before the page was opened, the newest preview is asked for: the next one may take a while.
   *
   * @param {JobState} entry
   */
  async #askPreview({ job, live }) {
    const isOlder = Date.parse(job.started_at ?? "") < performance.timeOrigin;
    if (!isOlder || !live.progress || live.preview !== undefined || job.previews === "none") return;
    const { signal } = this.#leaving;
    try {
      const blob = await app.client.api.preview(job.id, { signal });
      const bytes = new Uint8Array(await blob.arrayBuffer());
      const image = live.image ?? job.outputs.length;
      const picture = this.#pictures[image];
      if (signal.aborted || picture === undefined || !picture.isEmpty) return;
      picture.develop({ image, step: 0, width: 0, height: 0, mediaType: blob.type, bytes });
    } catch {
      // There was none yet, or the job has ended meanwhile: events bring what follows.
    }
  }

  /** @param {JobState} entry */
  #showButtons(entry) {
    const { job } = entry;
    const outputs = job.outputs.length;
    const kind = [job.status, job.cancel_requested, outputs].join(" ");
    if (kind === this.#buttonsFor) return;
    const hadFocus = this.#buttons.contains(document.activeElement);
    this.#buttonsFor = kind;
    this.#buttons.replaceChildren(...(hasEnded(entry) ? this.#afterwards(entry) : this.#meanwhile(entry)));
    // Whoever pressed a button that has gone is not sent back to the top of the page.
    if (hadFocus) /** @type {HTMLElement | null} */ (this.#buttons.querySelector("button, a"))?.focus();
  }

  /** @param {JobState} entry */
  #meanwhile({ job }) {
    const cancel = h("button", { type: "button", className: "small", disabled: job.cancel_requested === true }, icon("stop"), t("make.card.cancel"));
    cancel.addEventListener("click", () => void actions.cancel(job));
    const hasSeveral = _count(job) > 1 && job.status === "running";
    return [cancel, hasSeveral && _button("skip", t("make.card.skip"), () => actions.skip(job))].filter(Boolean);
  }

  /** @param {JobState} entry */
  #afterwards({ job }) {
    const [only] = job.outputs.length === 1 ? job.outputs : [];
    const now = (/** @type {(job: import("../downloads.js").Job) => unknown} */ act) => () => act(this.#shown?.job ?? job);
    return [
      actions.canVary(job) && _button("vary", t("make.card.vary"), now(actions.vary), t("make.card.vary.short")),
      actions.canRepeat(job) && _button("again", t("make.card.again"), now(actions.again), t("make.card.again.short")),
      only && job.task !== "upscale" && _button("upscale", t("make.card.upscale", { factor: actions.UPSCALE_FACTOR }), now((each) => actions.upscale(each, only.index))),
      only && _button("edit", t("make.card.edit"), now((each) => actions.edit(each, only.index))),
      only && _button("download", t("make.card.download"), now((each) => actions.save(each, only.index))),
      job.outputs.length > 1 && _button("download", t("make.card.download.all", { count: job.outputs.length }), now(actions.saveAll)),
      FORM_TASKS.has(job.task) && _button("form", t("make.card.form"), () => app.router.go("make", { job: job.id })),
    ].filter(Boolean);
  }
}

/** @param {string} id - of the job. */
function _details(id) {
  const name = t("make.card.details");
  return h("a", { className: "button icon quiet small", href: address("history", { job: id }), "aria-label": name, title: name }, icon("details"));
}

/**
 * @param {import("../downloads.js").Job} job
 * @returns {number} how many pictures it will make.
 */
function _count(job) {
  const { images } = /** @type {{images?: number}} */ (job.params);
  return images ?? 1;
}

/**
 * @param {Parameters<typeof icon>[0]} drawing
 * @param {string} name
 * @param {() => unknown} act
 * @param {string} [words] - shown beside the drawing.
 */
function _button(drawing, name, act, words) {
  const className = words === undefined ? "icon quiet small" : "small";
  return h("button", { type: "button", className, "aria-label": name, title: name, onclick: () => void act() }, icon(drawing), words);
}

customElements.define("sl-job-card", JobCard);
