/** Whether the server can work, and if not why; what it works on, how full its memory is, and how many wait. */

import { h, say } from "../dom.js";
import { duration, errorWords, hasWords, number, size, t, time } from "../words/words.js";

/**
 * @typedef {Awaited<ReturnType<import("../client/index.js").Api["ready"]>>} Readiness
 * @typedef {Awaited<ReturnType<import("../client/index.js").Api["server"]>>} ServerInfo
 */

const LINKS = /** @type {const} */ ([
  ["/docs", "health.docs"],
  ["/redoc", "health.reference"],
  ["/metrics", "health.metrics"],
  ["/asyncapi.json", "health.events"],
]);

export class ServerHealth extends HTMLElement {
  #title = h("h2", { id: "health-title" });
  #reasons = h("ul", { className: "health-reasons" });
  #models = _bar("health.models");
  #jobs = _bar("health.jobs");
  #device = h("dd");
  #runs = h("dd", { className: "numbers" });
  #waits = h("dd", { className: "numbers" });
  #version = h("dd", { className: "numbers" });
  #limits = h("dl", { className: "facts numbers" });

  connectedCallback() {
    if (this.childElementCount > 0) return;
    const facts = [
      ["health.device", this.#device],
      ["health.runs", this.#runs],
      ["health.waits", this.#waits],
      ["health.version", this.#version],
    ];
    this.className = "card";
    this.setAttribute("role", "region");
    this.setAttribute("aria-labelledby", "health-title");
    this.#title.textContent = t("history.loading");
    this.append(
      h("div", { className: "health-state" }, this.#title, this.#reasons),
      h("dl", { className: "health-facts" }, ...facts.map(([words, value]) => h("div", {}, h("dt", {}, t(words)), value))),
      h("div", { className: "health-memory" }, this.#models.element, this.#jobs.element),
      h("nav", { className: "row health-links", "aria-label": t("health.links") }, ...LINKS.map(([href, words]) => h("a", { href, target: "_blank" }, t(words)))),
      h("details", { className: "health-limits" }, h("summary", {}, t("health.limits")), this.#limits),
    );
  }

  /**
   * @param {Readiness} readiness
   * @param {ServerInfo} server
   */
  show({ ready, problems }, { version, started_at: since, engine, memory, jobs, limits, key }) {
    this.setAttribute("state", ready ? "ready" : "not-ready");
    say(this.#title, t(ready ? "health.ready" : "health.notReady"));
    this.#showReasons(problems.map(_reason));
    say(this.#device, engine.device === "none" ? t("health.noDevice") : engine.device);
    say(this.#runs, number(jobs.running));
    const waiting = Object.values(jobs.waiting).reduce((sum, count) => sum + count, 0);
    const { interactive = 0 } = /** @type {Record<string, number>} */ (jobs.waiting);
    say(this.#waits, interactive > 0 ? t("health.waiting", { count: waiting, interactive }) : number(waiting));
    say(this.#version, version);
    this.#models.show(memory.models_bytes, memory.models_budget_bytes);
    this.#jobs.show(memory.jobs_bytes, memory.jobs_budget_bytes);
    const told = [
      ["health.since", time(since)],
      ["health.key", key.is_needed ? key.scopes.join(", ") : t("health.noKeys")],
      ["health.pixels", t("health.megapixels", { count: Math.round(limits.max_pixels / 1e6) })],
      ["health.upload", size(limits.max_upload_bytes)],
      ["health.queue", t("health.queueOf", { all: limits.max_queued_jobs, key: limits.max_queued_jobs_per_key })],
      ["health.kept", duration(limits.job_ttl_s)],
    ];
    if (this.#limits.textContent !== told.map(([words, value]) => t(words) + value).join("")) {
      this.#limits.replaceChildren(...told.flatMap(([words, value]) => [h("dt", {}, t(words)), h("dd", {}, value)]));
    }
  }

  /** @param {unknown} error - why nothing is known of it. */
  lost(error) {
    this.setAttribute("state", "lost");
    say(this.#title, t("health.lost"));
    this.#showReasons([errorWords(error)]);
  }

  /** @param {readonly string[]} reasons */
  #showReasons(reasons) {
    this.#reasons.hidden = reasons.length === 0;
    if ([...this.#reasons.children].map((each) => each.textContent).join("\n") === reasons.join("\n")) return;
    this.#reasons.replaceChildren(...reasons.map((reason) => h("li", {}, reason)));
  }
}

/**
 * @param {string} words - what is in that memory.
 * @returns {{element: HTMLElement, show: (used: number, budget: number) => void}}
 */
function _bar(words) {
  const far = h("span", { className: "numbers" });
  const bar = h("div", { className: "health-bar", role: "img" });
  const element = h("div", {}, h("div", { className: "row" }, h("span", { className: "soft" }, t(words)), far), bar);
  return {
    element,
    show(used, budget) {
      const told = t("health.used", { used: size(used), budget: size(budget) });
      say(far, told);
      bar.setAttribute("aria-label", `${t(words)}: ${told}`);
      bar.style.setProperty("--share", String(budget > 0 ? Math.min(1, used / budget) : 0));
    },
  };
}

/**
 * @param {string} problem - as the server says it.
 * @returns {string} in words that say what to do.
 */
function _reason(problem) {
  const [, status, detail] = /^engine (\w+)(?:: (.*))?$/s.exec(problem) ?? [];
  if (status !== undefined && hasWords(`health.engine.${status}`)) return t(`health.engine.${status}`, { detail: detail ?? "" }).trim();
  if (problem === "draining") return t("health.draining");
  if (problem === "the store cannot be written") return t("health.store");
  return problem;
}

customElements.define("sl-server-health", ServerHealth);
