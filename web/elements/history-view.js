/** The view History: what runs and waits, then everything that has ended. Filter and open job are in the address. */

import "./active-jobs.js";
import "./confirm-dialog.js";
import "./history-filter.js";
import "./job-details.js";
import "./job-grid.js";
import "./recipe-dialog.js";

import { app } from "../app.js";
import { SafelightError } from "../client/index.js";
import { saveArchives, saveOutput } from "../downloads.js";
import { h, say } from "../dom.js";
import { JobList } from "../job-list.js";
import { Selection } from "../selection.js";
import { hasEnded } from "../state.js";
import { errorWords, t } from "../words/words.js";

/**
 * @typedef {import("../client/index.js").JobSnapshot} Job
 * @typedef {import("../job-list.js").Filter} Filter
 */

/** So many are asked to be removed at a time. */
const AT_ONCE = 6;
/** Jobs that end together come into the list together: every arrival moves all the others on. */
const ARRIVALS_MS = 150;
const FILTERS = /** @type {const} */ (["q", "status", "task", "before"]);

export class HistoryView extends HTMLElement {
  #leaving = new AbortController();
  /** Until another view is shown. */
  #shown = new AbortController();
  #filterBar = /** @type {import("./history-filter.js").HistoryFilter} */ (h("sl-history-filter"));
  #grid = /** @type {import("./job-grid.js").JobGrid} */ (h("sl-job-grid"));
  #details = /** @type {import("./job-details.js").JobDetails} */ (h("sl-job-details"));
  #recipe = /** @type {import("./recipe-dialog.js").RecipeDialog} */ (h("sl-recipe-dialog"));
  #confirm = /** @type {import("./confirm-dialog.js").ConfirmDialog} */ (h("sl-confirm-dialog"));
  #arrivals = h("button", { type: "button", className: "history-arrivals", hidden: true });
  #chosen = h("span", { className: "numbers", role: "status" });
  #bar = h("div", { className: "history-bar card", hidden: true });
  #foot = h("p", { className: "history-foot soft", role: "status" });
  #retry = h("button", { type: "button", hidden: true }, t("history.retry"));
  #list = new JobList(app.client, {});
  #selection = new Selection();
  /** @type {Map<string, number>} how many outputs each chosen job has; the jobs themselves may be dropped. */
  #outputs = new Map();
  /** @type {Map<string, Job>} ended meanwhile, above what somebody reads. */
  #waiting = new Map();
  /** @type {Set<string>} ended jobs that the list was told of. */
  #told = new Set();
  /** @type {number | undefined} */
  #clock;
  #scroll = 0;
  #cameFromGrid = false;
  #hasBegun = false;

  connectedCallback() {
    this.#leaving = new AbortController();
    this.#shown.abort();
    const { signal } = this.#leaving;
    this.#bar.replaceChildren(
      this.#chosen,
      h("button", { type: "button", className: "small", onclick: () => this.#download(this.#selection.ids) }, t("history.download")),
      h("button", { type: "button", className: "small danger", onclick: () => this.#remove(this.#selection.ids) }, t("history.delete")),
      h("button", { type: "button", className: "small quiet", onclick: () => this.#selection.leave() }, t("history.unselect")),
    );
    this.replaceChildren(
      h("h1", {}, t("shell.history")),
      h("sl-active-jobs"),
      h(
        "section",
        { "aria-labelledby": "history-ended" },
        h("h2", { id: "history-ended" }, t("history.ended")),
        this.#filterBar,
        this.#bar,
        this.#arrivals,
        this.#grid,
        h("div", { className: "row" }, this.#foot, this.#retry),
      ),
      this.#details,
      this.#recipe,
      this.#confirm,
    );
    this.#retry.onclick = () => this.#list.more();
    this.#arrivals.onclick = () => {
      this.#takeArrivals();
      scrollTo({ top: 0 });
    };
    const on = (/** @type {EventTarget} */ target, /** @type {string} */ type, /** @type {(event: CustomEvent) => void} */ act) =>
      target.addEventListener(type, /** @type {EventListener} */ (act), { signal });
    on(this, "shown", ({ detail }) => this.#show(detail.parameters));
    on(this, "picture", ({ detail }) => void this.#recipe.show(detail));
    on(this.#filterBar, "filter", ({ detail }) => app.router.go("history", detail));
    on(this.#grid, "open", ({ detail }) => {
      this.#cameFromGrid = true;
      app.router.go("history", { ...this.#list.filter, job: detail });
    });
    on(this.#grid, "delete", ({ detail }) => this.#remove(detail));
    on(this.#details, "leave", () => this.#closed());
    on(this.#details, "turn", ({ detail }) => this.#turn(detail));
    on(this.#details, "delete", ({ detail }) => this.#remove([detail]));
    on(this.#recipe, "use", ({ detail }) => this.#hand(detail));
    on(this.#selection, "change", () => this.#showChosen());
    on(app.router, "change", () => {
      if (app.router.place.view !== "history") this.#shown.abort();
    });
    addEventListener(
      "scroll",
      () => {
        if (this.hidden) return;
        this.#scroll = scrollY;
        if (this.#waiting.size > 0 && this.#grid.isAtTop) this.#takeArrivals();
      },
      { signal, passive: true },
    );
    app.store.watch(
      (state) => state.jobs,
      (jobs) => this.#hear(jobs),
      { signal },
    );
    app.store.watch(
      (state) => state.removed,
      (ids) => this.#forget(ids),
      { signal },
    );
    app.store.watch(
      (state) => state.connection.phase,
      (phase) => {
        if (phase === "open" && this.#list.error !== undefined) void this.#list.more();
      },
      { signal },
    );
  }

  disconnectedCallback() {
    this.#leaving.abort();
    this.#shown.abort();
    this.#list.close();
    clearTimeout(this.#clock);
    this.#clock = undefined;
  }

  /** @param {URLSearchParams} parameters */
  #show(parameters) {
    /** @type {Filter} */
    const filter = {};
    for (const name of FILTERS) {
      const value = parameters.get(name);
      if (value) filter[name] = value;
    }
    this.#filterBar.filter = filter;
    if (!this.#hasBegun || FILTERS.some((name) => filter[name] !== this.#list.filter[name])) this.#begin(filter);
    if (this.#shown.signal.aborted) this.#arrive();
    const job = parameters.get("job");
    if (job) this.#openDetails(job);
    else this.#details.close();
    this.#grid.refresh();
  }

  /** The view comes into sight again, or for the first time. */
  #arrive() {
    this.#shown = new AbortController();
    const { signal } = this.#shown;
    app.shortcuts.add(
      [
        { keys: "/", words: "history.keys.search", action: () => this.#filterBar.search() },
        { keys: "Ctrl+A", words: "history.keys.all", action: () => this.#selection.all(this.#list.ids) },
        { keys: "←↑→↓", words: "history.keys.move" },
        { keys: "Shift+←↑→↓", words: "history.keys.through" },
        { keys: "Enter / Space", words: "history.keys.open" },
        { keys: "Escape", words: "history.keys.none", action: () => this.#selection.leave() },
        { keys: "Delete", words: "history.keys.delete", action: () => this.#remove(this.#selection.ids) },
      ],
      { signal },
    );
    scrollTo({ top: this.#scroll });
    app.client.api
      .jobs({ status: ["queued", "running"], limit: 200, signal })
      .then((page) => app.store.put(page.jobs))
      .catch((error) => this.#tellUnlessAway(error));
  }

  /** @param {Filter} filter */
  #begin(filter) {
    this.#hasBegun = true;
    this.#list.close();
    this.#list = new JobList(app.client, filter);
    const list = this.#list;
    list.addEventListener(
      "change",
      () => {
        if (list !== this.#list) return;
        this.#showFoot();
        this.#offerArrivals();
      },
      { signal: this.#leaving.signal },
    );
    this.#waiting.clear();
    this.#told.clear();
    this.#arrivals.hidden = true;
    this.#selection.leave();
    this.#grid.show(list, this.#selection);
    this.#showFoot();
    void list.more();
    this.#hear(app.store.state.jobs);
  }

  #showFoot() {
    const { ids, isComplete, error, filter } = this.#list;
    const isFiltered = Object.keys(filter).length > 0;
    this.#retry.hidden = error === undefined;
    if (error !== undefined) say(this.#foot, errorWords(error));
    else if (!isComplete) say(this.#foot, t("history.loading"));
    else if (ids.length > 0) say(this.#foot, t("history.all", { count: ids.length }));
    else say(this.#foot, t(isFiltered ? "history.noneLikeThat" : "history.none"));
    this.#grid.hidden = ids.length === 0;
  }

  /** @param {ReadonlyMap<string, import("../state.js").JobState>} jobs */
  #hear(jobs) {
    for (const [id, entry] of jobs) {
      if (!hasEnded(entry) || this.#told.has(id)) continue;
      this.#told.add(id);
      if (this.#list.accepts(entry.job)) this.#waiting.set(id, entry.job);
    }
    this.#offerArrivals();
  }

  /** Put what has ended meanwhile into the list, or offer to where that would move what is being read. */
  #offerArrivals() {
    // What is not in the first page may have ended after the server read it.
    if (this.#waiting.size === 0 || !this.#list.hasBegun) return;
    const known = new Set(this.#list.ids);
    for (const id of this.#waiting.keys()) if (known.has(id)) this.#waiting.delete(id);
    if (this.#waiting.size === 0) return;
    this.#clock ??= setTimeout(() => {
      this.#clock = undefined;
      if (this.hidden || this.#grid.hidden || this.#grid.isAtTop) this.#takeArrivals();
      else if (this.#waiting.size > 0) {
        this.#arrivals.hidden = false;
        say(this.#arrivals, t("history.arrivals", { count: this.#waiting.size }));
      }
    }, ARRIVALS_MS);
  }

  #takeArrivals() {
    const jobs = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#arrivals.hidden = true;
    this.#list.take(jobs);
  }

  /** @param {readonly string[]} ids - jobs that are gone, by whoever's doing. */
  #forget(ids) {
    if (ids.length === 0) return;
    for (const id of ids) this.#waiting.delete(id);
    const { shownId } = this.#details;
    if (ids.includes(shownId)) this.#details.close();
    this.#selection.leave(ids);
    this.#list.remove(ids);
  }

  #showChosen() {
    const { ids, size } = this.#selection;
    for (const id of ids) {
      const job = this.#list.job(id);
      if (job !== undefined) this.#outputs.set(id, job.outputs.length);
    }
    if (size === 0) this.#outputs.clear();
    this.#bar.hidden = size === 0;
    say(this.#chosen, t("history.chosen", { count: size }));
  }

  /** @param {readonly string[]} ids */
  async #download(ids) {
    try {
      const only = ids.length === 1 ? this.#list.job(/** @type {string} */ (ids[0])) : undefined;
      const output = only?.outputs[0];
      if (only !== undefined && output !== undefined && only.outputs.length === 1) await saveOutput(only, output);
      else await saveArchives(ids.map((id) => ({ id, outputs: this.#outputs.get(id) ?? 1 })));
    } catch (error) {
      app.notices.tell(error);
    }
  }

  /** @param {readonly string[]} ids */
  async #remove(ids) {
    if (ids.length === 0) return;
    const title = ids.length === 1 ? t("history.deleteOne") : t("history.deleteMany", { count: ids.length });
    if (!(await this.#confirm.ask({ title, text: t("history.deleteHelp"), action: t("history.delete") }))) return;
    /** @type {string[]} */
    const gone = [];
    const left = [...ids];
    /** @type {unknown} */
    let problem;
    const work = async () => {
      for (let id = left.shift(); id !== undefined && problem === undefined; id = left.shift()) {
        try {
          await app.client.api.forget(id);
          gone.push(id);
        } catch (error) {
          if (error instanceof SafelightError && error.code === "not_found") gone.push(id);
          else problem = error;
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    app.store.remove(gone);
    this.#forget(gone);
    if (gone.length > 0) app.notices.show({ kind: "info", text: t("history.deleted", { count: gone.length }) });
    if (problem !== undefined) app.notices.tell(problem);
  }

  /** @param {string} id */
  #openDetails(id) {
    const place = this.#list.ids.indexOf(id);
    const last = this.#list.ids.length - 1;
    this.#details.show(id, { hasBefore: place > 0, hasAfter: place >= 0 && place < last });
  }

  /** @param {number} by */
  #turn(by) {
    const id = this.#list.ids[this.#list.ids.indexOf(this.#details.shownId) + by];
    if (id === undefined) return;
    // In place of the one that was looked at: one step back closes the dialog, however far somebody has turned.
    app.router.replace("history", { ...this.#list.filter, job: id });
  }

  #closed() {
    const cameFromGrid = this.#cameFromGrid;
    this.#cameFromGrid = false;
    const { view, parameters } = app.router.place;
    if (view !== "history" || !parameters.has("job")) return;
    if (cameFromGrid) history.back();
    else app.router.replace("history", { ...this.#list.filter });
  }

  /**
   * The view Make knows what to do with a picture and with what its file says.
   *
   * @param {File} file
   */
  #hand(file) {
    app.router.go("make");
    addEventListener(
      "hashchange",
      () => document.querySelector("sl-make-view")?.dispatchEvent(new CustomEvent("picture", { detail: file })),
      { once: true },
    );
  }

  /** @param {unknown} error - that the connection is away is shown already. */
  #tellUnlessAway(error) {
    if (!(error instanceof SafelightError && error.code === "unreachable")) app.notices.tell(error);
  }
}

customElements.define("sl-history-view", HistoryView);
