/** What runs and what waits, in the order it will go. */

import "./active-job.js";

import { app } from "../app.js";
import { h, say } from "../dom.js";
import { hasEnded } from "../state.js";
import { t } from "../words/words.js";

/**
 * @typedef {import("../state.js").JobState} JobState
 * @typedef {import("./active-job.js").ActiveJob} ActiveJob
 */

/** More lines than these help nobody; how many more there are is said. */
const MOST = 24;
const LINES_MS = 100;

export class ActiveJobs extends HTMLElement {
  #leaving = new AbortController();
  #list = h("ul", { className: "active-list" });
  #empty = h("p", { className: "soft" }, t("history.nothingRuns"));
  #more = h("p", { className: "soft", hidden: true });
  /** @type {ReadonlyMap<string, JobState>} */
  #jobs = new Map();
  /** @type {number | undefined} */
  #clock;
  /** @type {Map<string, ActiveJob>} */
  #rows = new Map();

  connectedCallback() {
    this.#leaving = new AbortController();
    const { signal } = this.#leaving;
    this.replaceChildren(h("h2", {}, t("history.active")), this.#empty, this.#list, this.#more);
    app.store.watch(
      (state) => state.jobs,
      (jobs) => {
        this.#jobs = jobs;
        // How far a job is shows at once; lines that come and go do so together.
        for (const [id, row] of this.#rows) {
          const entry = jobs.get(id);
          if (entry !== undefined) row.entry = entry;
        }
        this.#clock ??= setTimeout(() => {
          this.#clock = undefined;
          this.#show(this.#jobs);
        }, LINES_MS);
      },
      { signal },
    );
    this.#show(this.#jobs);
  }

  disconnectedCallback() {
    this.#leaving.abort();
    clearTimeout(this.#clock);
    this.#clock = undefined;
  }

  /** @param {ReadonlyMap<string, JobState>} jobs */
  #show(jobs) {
    const active = [...jobs.values()].filter((entry) => !hasEnded(entry)).sort(_inTurn);
    const shown = active.slice(0, MOST);
    const ids = new Set(shown.map(({ job }) => job.id));
    for (const [id, row] of this.#rows) {
      if (ids.has(id)) continue;
      row.parentElement?.remove();
      this.#rows.delete(id);
    }
    /** @type {Element | null} */
    let next = this.#list.firstElementChild;
    for (const entry of shown) {
      let row = this.#rows.get(entry.job.id);
      if (row === undefined) {
        row = /** @type {ActiveJob} */ (h("sl-active-job"));
        h("li", {}, row);
        this.#rows.set(entry.job.id, row);
      }
      const item = /** @type {Element} */ (row.parentElement);
      if (item === next) next = next.nextElementSibling;
      else this.#list.insertBefore(item, next);
      row.entry = entry;
    }
    this.#empty.hidden = active.length > 0;
    this.#list.hidden = active.length === 0;
    this.#more.hidden = active.length <= MOST;
    if (active.length > MOST) say(this.#more, t("history.more", { count: active.length - MOST }));
  }
}

/**
 * What runs before what waits; then by place in the queue, then the oldest first.
 *
 * @param {JobState} one
 * @param {JobState} other
 */
function _inTurn(one, other) {
  const runs = Number(other.job.status === "running") - Number(one.job.status === "running");
  if (runs !== 0) return runs;
  const places = (one.live.position ?? Infinity) - (other.live.position ?? Infinity);
  if (places < 0 || places > 0) return places;
  return one.job.id < other.job.id ? -1 : 1;
}

customElements.define("sl-active-jobs", ActiveJobs);
