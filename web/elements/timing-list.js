/** When a job was asked for, began and ended, how long each part took, and every fact the server told of it. */

import { h } from "../dom.js";
import { workedS } from "../job-words.js";
import { clockTime } from "../times.js";
import { duration, t, time } from "../words/words.js";

/**
 * @typedef {import("../client/index.js").JobSnapshot} Job
 * @typedef {import("../client/index.js").SafelightEvent} SafelightEvent
 */

export class TimingList extends HTMLElement {
  #times = h("dl", { className: "facts numbers" });
  #stages = h("dl", { className: "stages numbers", hidden: true });
  #events = h("ol", { className: "event-list numbers" });
  /** @type {Job | undefined} */
  #job;

  connectedCallback() {
    if (this.childElementCount > 0) return;
    this.append(
      h("h3", {}, t("details.times")),
      this.#times,
      this.#stages,
      h("details", {}, h("summary", {}, t("details.events")), this.#events),
    );
  }

  clear() {
    this.#job = undefined;
    this.#times.replaceChildren();
    this.#stages.replaceChildren();
    this.#stages.hidden = true;
    this.#events.replaceChildren();
  }

  /** @param {Job} job */
  show(job) {
    const before = this.#job;
    this.#job = job;
    if (before?.started_at === job.started_at && before?.finished_at === job.finished_at && before?.id === job.id) return;
    const waited = job.started_at == null ? null : (Date.parse(job.started_at) - Date.parse(job.created_at)) / 1000;
    const worked = workedS(job);
    /** @type {[string, string | null][]} */
    const rows = [
      ["details.asked", time(job.created_at)],
      ["details.waited", waited === null ? null : _short(waited)],
      ["details.worked", worked === null ? null : _short(worked)],
      ["details.finished", job.finished_at == null ? null : time(job.finished_at)],
      ["details.expires", job.expires_at == null ? null : time(job.expires_at)],
    ];
    const known = rows.filter(([, value]) => value !== null);
    this.#times.replaceChildren(
      ...known.flatMap(([words, value]) => [h("dt", {}, t(words)), h("dd", {}, value)]),
      h("dt", {}, t("details.id")),
      h("dd", {}, h("code", {}, job.id)),
    );
  }

  /** @param {SafelightEvent} event - a fact. */
  hear(event) {
    const data = /** @type {Record<string, any>} */ (event.data);
    const note = data.error?.code ?? data.reason ?? data.code ?? (data.index === undefined ? data.device : String(data.index + 1));
    this.#events.append(
      h("li", {}, h("time", { datetime: event.at }, clockTime(event.at)), h("span", {}, event.type), h("span", { className: "soft" }, note ?? "")),
    );
    if (event.type.startsWith("job.") && data.timings) this.#showStages(data.timings);
  }

  /** @param {Record<string, number>} timings - seconds by stage. */
  #showStages(timings) {
    const stages = Object.entries(timings).sort(([, one], [, other]) => other - one);
    const longest = stages[0]?.[1] ?? 0;
    this.#stages.replaceChildren(
      ...stages.flatMap(([stage, seconds]) => [
        h("dt", {}, stage),
        h("dd", {}, h("span", { className: "stage-bar", style: `--share: ${longest === 0 ? 0 : seconds / longest}` }), _short(seconds)),
      ]),
    );
    this.#stages.hidden = stages.length === 0;
  }
}

/**
 * @param {number} seconds
 * @returns {string}
 */
function _short(seconds) {
  return seconds < 1 ? t("details.ms", { count: Math.max(0, Math.round(seconds * 1000)) }) : duration(seconds);
}

customElements.define("sl-timing-list", TimingList);
