/** The view Make: what to make on one side, and the pictures as they develop on the other. */

import { app } from "../app.js";
import { h, say } from "../dom.js";
import { address } from "../router.js";
import { library } from "../library.js";
import { FORM_TASKS, wishOf } from "../wish.js";
import { t } from "../words/words.js";
import { openLightbox } from "./picture-lightbox.js";
import "./job-card.js";
import "./picture-offer.js";
import "./prompt-form.js";

/**
 * @typedef {import("../state.js").State} State
 * @typedef {import("../wish.js").Wish} Wish
 * @typedef {import("./job-card.js").JobCard} JobCard
 */

/** Work that makes pictures; what mends and finds things belongs to Edit. */
const TASKS = new Set(["text_to_image", "image_to_image", "upscale", "enhance", "test_pattern"]);
/** Older ones are in History. */
const MOST_CARDS = 100;
/** For a first picture; in the language that models were trained in. */
const EXAMPLES = ["a red apple", "a blue car", "a yellow flower"];

export class MakeView extends HTMLElement {
  #leaving = new AbortController();
  #away = new AbortController();
  #form = /** @type {import("./prompt-form.js").PromptForm} */ (h("sl-prompt-form"));
  #offer = /** @type {import("./picture-offer.js").PictureOffer} */ (h("sl-picture-offer"));
  #cards = h("ul", { className: "make-cards", "aria-label": t("make.jobs") });
  #empty = h("div", { className: "make-empty", hidden: true });
  #summary = h("p", { className: "soft numbers" });
  #older = h("p", { className: "make-older", hidden: true }, h("a", { href: address("history") }, t("make.older")));
  /** @type {Map<string, HTMLElement>} */
  #known = new Map();
  /** The job whose card is to be shown when it comes. */
  #awaited = "";

  connectedCallback() {
    this.#leaving = new AbortController();
    const { signal } = this.#leaving;
    library.follow(signal);
    this.#empty.replaceChildren(
      h("p", {}, t("make.empty")),
      h("div", { className: "chips" }, ...EXAMPLES.map((words) => h("button", { type: "button", className: "chip-button", lang: "en", onclick: () => this.#try(words) }, words))),
    );
    this.replaceChildren(
      h("h1", { className: "for-screen-readers" }, t("shell.make")),
      h("div", { className: "make" }, this.#form, h("section", { className: "make-jobs", "aria-label": t("make.jobs") }, this.#summary, this.#empty, this.#cards, this.#older)),
      this.#offer,
    );
    this.addEventListener("shown", (event) => this.#come(/** @type {CustomEvent} */ (event).detail.parameters), { signal });
    this.addEventListener("picture", (event) => this.#offer.open(/** @type {CustomEvent<File>} */ (event).detail), { signal });
    this.#offer.addEventListener("start", (event) => this.#form.startFrom(/** @type {CustomEvent<File>} */ (event).detail), { signal });
    this.#offer.addEventListener(
      "settings",
      (event) => {
        this.#form.wish = _withWhatIsHere(/** @type {CustomEvent<Wish>} */ (event).detail);
        this.#form.focusPrompt();
      },
      { signal },
    );
    this.#form.addEventListener("made", (event) => this.#reveal(/** @type {CustomEvent<string>} */ (event).detail), { signal });
    this.#cards.addEventListener("open", (/** @type {CustomEvent<number>} */ event) => this.#open(event), { signal });
    app.router.addEventListener("change", () => app.router.place.view !== "make" && this.#away.abort(), { signal });
    // Only which jobs there are: each card looks after its own.
    app.store.watch(
      (state) => state.order,
      () => this.#list(),
      { signal },
    );
    app.store.watch(_summary, (words) => say(this.#summary, words), { signal });
    app.store.watch(
      ({ connection, order }) => connection.phase === "open" && order.length === 0,
      () => this.#list(),
      { signal },
    );
  }

  disconnectedCallback() {
    this.#leaving.abort();
    this.#away.abort();
  }

  /** @param {URLSearchParams} parameters */
  #come(parameters) {
    this.#away.abort();
    this.#away = new AbortController();
    const { signal } = this.#away;
    app.shortcuts.add(
      [
        { keys: "Ctrl+Enter", words: "make.shortcut.go", action: () => void this.#form.submit(), inFields: true },
        { keys: "/", words: "make.shortcut.prompt", action: () => this.#form.focusPrompt() },
      ],
      { signal },
    );
    const picture = parameters.get("picture");
    const job = parameters.get("job");
    if (picture !== null) this.#form.startFrom(picture);
    if (job !== null) void this.#fillFrom(job, signal);
    // Taken in: reloading the page, or coming back to it, is not to undo what somebody has written since.
    if (picture !== null || job !== null) history.replaceState(null, "", address("make"));
  }

  /**
   * @param {string} id
   * @param {AbortSignal} signal
   */
  async #fillFrom(id, signal) {
    try {
      const job = app.store.state.jobs.get(id)?.job ?? (await app.client.api.job(id, { signal }));
      if (signal.aborted) return;
      if (!FORM_TASKS.has(job.task)) return;
      this.#form.wish = wishOf(job);
      this.#form.focusPrompt();
      this.#form.scrollIntoView({ block: "nearest" });
    } catch (error) {
      if (!signal.aborted) app.notices.tell(error);
    }
  }

  /** @param {string} words */
  #try(words) {
    this.#form.wish = { ...this.#form.wish, prompt: words };
    void this.#form.submit();
  }

  /** Bring the cards in line with the jobs, leaving alone those that stay. */
  #list() {
    const { state } = app.store;
    const ids = state.order.filter((id) => TASKS.has(state.jobs.get(id)?.job.task ?? ""));
    const shown = ids.slice(0, MOST_CARDS);
    const wanted = new Set(shown);
    for (const [id, item] of this.#known) {
      if (wanted.has(id)) continue;
      item.remove();
      this.#known.delete(id);
    }
    /** @type {Element | null} */
    let next = this.#cards.firstElementChild;
    for (const id of shown) {
      const known = this.#known.get(id);
      const item = known ?? _card(id);
      if (item === next) next = next.nextElementSibling;
      else this.#cards.insertBefore(item, next);
      this.#known.set(id, item);
    }
    this.#empty.hidden = shown.length > 0 || state.connection.phase !== "open";
    this.#cards.hidden = shown.length === 0;
    this.#older.hidden = shown.length === 0;
    if (this.#awaited !== "") this.#reveal(this.#awaited);
  }

  /**
   * On a phone the form is above the pictures: show what has begun.
   *
   * @param {string} id
   */
  #reveal(id) {
    const item = this.#known.get(id);
    this.#awaited = item === undefined ? id : "";
    item?.scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  }

  /** @param {CustomEvent<number>} event */
  #open(event) {
    const id = /** @type {JobCard | null} */ (/** @type {Element} */ (event.target).closest("sl-job-card"))?.jobId;
    const { jobs } = app.store.state;
    const pictures = [...this.#cards.querySelectorAll("sl-job-card")].flatMap((card) => {
      const job = jobs.get(/** @type {JobCard} */ (card).jobId)?.job;
      return job === undefined ? [] : job.outputs.map(({ index }) => ({ job, index }));
    });
    openLightbox(pictures, pictures.findIndex(({ job, index }) => job.id === id && index === event.detail));
  }
}

/**
 * @param {string} id
 * @returns {HTMLElement}
 */
function _card(id) {
  const card = /** @type {JobCard} */ (h("sl-job-card"));
  card.jobId = id;
  return h("li", {}, card);
}

/**
 * Leave out models that only the maker of a picture had, and say so.
 *
 * @param {Wish} wish
 * @returns {Wish}
 */
function _withWhatIsHere(wish) {
  const loras = new Set(library.usable("lora").map(({ name }) => name));
  const hasModel = wish.model === "" || library.checkpoint(wish.model) !== undefined;
  const missing = [...(hasModel ? [] : [wish.model]), ...wish.loras.map(({ name }) => name).filter((name) => !loras.has(name))];
  if (missing.length > 0) app.notices.show({ kind: "info", text: t("make.offer.missing", { names: missing.join(", ") }) });
  return { ...wish, model: hasModel ? wish.model : "", loras: wish.loras.filter(({ name }) => loras.has(name)) };
}

/**
 * @param {State} state
 * @returns {string}
 */
function _summary({ jobs }) {
  let running = 0;
  let waiting = 0;
  for (const { job } of jobs.values()) {
    if (job.status === "running") running += 1;
    else if (job.status === "queued") waiting += 1;
  }
  return running + waiting === 0 ? t("make.summary.idle") : t("make.summary", { running, waiting });
}

customElements.define("sl-make-view", MakeView);
