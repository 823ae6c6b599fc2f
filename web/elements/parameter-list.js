/** What a job was asked with: every parameter by its name in the API, long ones in full. */

import { h } from "../dom.js";
import { address } from "../router.js";
import { t } from "../words/words.js";

/** @typedef {import("../client/index.js").JobSnapshot} Job */

/** What people look for first; the rest follows as the server has it. */
const FIRST = [
  "prompt", "negative_prompt", "image", "mask", "model", "loras", "styles", "width", "height", "images", "steps",
  "guidance_scale", "scheduler", "seed", "strength",
];
const PICTURE_OF_JOB = /^job:([0-9a-f-]{36})\/(\d+)$/;

export class ParameterList extends HTMLElement {
  /** @type {Job["params"] | undefined} */
  #shown;

  clear() {
    this.#shown = undefined;
    this.replaceChildren();
  }

  /** @param {Job} job */
  show({ params, priority, previews, labels, attempt }) {
    if (params === this.#shown) return;
    this.#shown = params;
    const all = Object.entries(/** @type {Record<string, unknown>} */ (params));
    const own = all.sort(([one], [other]) => _rank(one) - _rank(other));
    const said = own.filter(([, value]) => !_isNothing(value));
    const rest = own.filter(([, value]) => _isNothing(value));
    const others = { priority, previews, ...(attempt > 1 ? { attempt } : {}), ...labels };
    this.replaceChildren(
      h("h3", {}, t("details.parameters")),
      h("dl", { className: "facts" }, ...said.flatMap(_row)),
      h(
        "details",
        {},
        h("summary", {}, t("details.others")),
        h("dl", { className: "facts" }, ...[...Object.entries(others), ...rest].flatMap(_row)),
      ),
    );
  }
}

/** @param {string} name */
function _rank(name) {
  const place = FIRST.indexOf(name);
  return place < 0 ? FIRST.length : place;
}

/**
 * @param {unknown} value
 * @returns {boolean} whether it asks for nothing.
 */
function _isNothing(value) {
  if (Array.isArray(value)) return value.length === 0;
  return value === null || value === undefined || value === "" || value === false || value === 0;
}

/**
 * @param {[string, unknown]} parameter
 * @returns {Element[]}
 */
function _row([name, value]) {
  return [h("dt", {}, name), h("dd", { translate: false }, _shown(value))];
}

/**
 * @param {unknown} value
 * @returns {Node | string}
 */
function _shown(value) {
  if (value === null || value === undefined || value === "") return "–";
  if (typeof value === "string") {
    const [, job, number] = PICTURE_OF_JOB.exec(value) ?? [];
    return job === undefined ? value : h("a", { href: address("history", { job }) }, `job:…${job.slice(-8)}/${number}`);
  }
  if (typeof value !== "object") return String(value);
  if (Array.isArray(value) && value.every((each) => typeof each !== "object")) return value.length === 0 ? "–" : value.join(", ");
  return h("pre", {}, JSON.stringify(value, (_, each) => (typeof each === "bigint" ? String(each) : each), 1));
}

customElements.define("sl-parameter-list", ParameterList);
