/** Whether the server can work, and if not why; what it works on, how full its memory is, and how many wait. */

import { h, say } from "../dom.js";
import { errorWords, hasWords, number, size, t } from "../words/words.js";

/** @typedef {Awaited<ReturnType<import("../client/index.js").Api["ready"]>>} Readiness */

const LINKS = /** @type {const} */ ([
  ["/docs", "health.docs"],
  ["/redoc", "health.reference"],
  ["/metrics", "health.metrics"],
  ["/asyncapi.json", "health.events"],
]);

export class ServerHealth extends HTMLElement {
  #title = h("h2", { id: "health-title" });
  #reasons = h("ul", { className: "health-reasons" });
  #bar = h("div", { className: "health-bar", role: "img" }, h("span"));
  #memory = h("span", { className: "numbers" });
  #device = h("dd");
  #runs = h("dd", { className: "numbers" });
  #waits = h("dd", { className: "numbers" });
  #version = h("dd", { className: "numbers" });

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
      h("div", { className: "health-memory" }, h("div", { className: "row" }, h("span", { className: "soft" }, t("health.memory")), this.#memory), this.#bar),
      h("nav", { className: "row health-links", "aria-label": t("health.links") }, ...LINKS.map(([href, words]) => h("a", { href, target: "_blank" }, t(words)))),
    );
  }

  /**
   * @param {{version: string}} live
   * @param {Readiness} ready
   */
  show({ version }, { ready, problems, engine, queued }) {
    this.setAttribute("state", ready ? "ready" : "not-ready");
    say(this.#title, t(ready ? "health.ready" : "health.notReady"));
    this.#showReasons(problems.map(_reason));
    say(this.#device, engine.device ?? t("health.noDevice"));
    say(this.#runs, number(engine.live_jobs));
    const waiting = Object.values(queued).reduce((sum, count) => sum + count, 0);
    const { interactive = 0 } = /** @type {Record<string, number>} */ (queued);
    say(this.#waits, interactive > 0 ? t("health.waiting", { count: waiting, interactive }) : number(waiting));
    say(this.#version, version);
    const share = engine.budget_bytes ? Math.min(1, engine.live_bytes / engine.budget_bytes) : 0;
    const used = t("health.used", { used: size(engine.live_bytes), budget: size(engine.budget_bytes) });
    say(this.#memory, used);
    this.#bar.setAttribute("aria-label", `${t("health.memory")}: ${used}`);
    this.#bar.style.setProperty("--share", String(share));
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
