/** The view Models: how the server is, which models it has, and which of them are in memory. */

import "./model-download.js";
import "./model-list.js";
import "./server-health.js";

import { app } from "../app.js";
import { SafelightError } from "../client/index.js";
import { h, uniqueId } from "../dom.js";
import { t } from "../words/words.js";

/** Memory and queue have no events of their own: while somebody looks, they are asked for this often. */
const EVERY_MS = 5000;
/** Several models change at once; one question serves for all. */
const SOON_MS = 150;

export class ModelsView extends HTMLElement {
  #leaving = new AbortController();
  /** Until another view is shown. */
  #shown = new AbortController();
  #health = /** @type {import("./server-health.js").ServerHealth} */ (h("sl-server-health"));
  #list = /** @type {import("./model-list.js").ModelList} */ (h("sl-model-list"));
  #download = h("sl-model-download", { hidden: true });
  #find = h("input", { id: uniqueId("find-model"), type: "search", autocomplete: "off" });
  /** @type {number | undefined} */
  #soon;
  /** @type {Map<string, string>} what the events last said of each model. */
  #statuses = new Map();

  connectedCallback() {
    this.#leaving = new AbortController();
    this.#shown.abort();
    const { signal } = this.#leaving;
    this.replaceChildren(
      h("h1", { className: "for-screen-readers" }, t("shell.models")),
      this.#health,
      h(
        "section",
        { className: "models-section", "aria-labelledby": "models-title" },
        h(
          "div",
          { className: "models-head" },
          h("h2", { id: "models-title" }, t("models.title")),
          h("div", { className: "field" }, h("label", { for: this.#find.id }, t("models.find")), this.#find),
        ),
        this.#download,
        this.#list,
      ),
    );
    this.#find.addEventListener("input", () => this.#list.find(this.#find.value), { signal });
    this.addEventListener("shown", () => this.#arrive(), { signal });
    this.addEventListener("changed", () => this.#askSoon(), { signal });
    app.router.addEventListener(
      "change",
      () => {
        if (app.router.place.view !== "models") this.#shown.abort();
      },
      { signal },
    );
    app.store.watch(
      (state) => state.models,
      (models) => this.#hear(models),
      { signal },
    );
    app.store.watch(
      (state) => state.connection.phase,
      (phase) => phase === "open" && this.#askSoon(),
      { signal },
    );
  }

  disconnectedCallback() {
    this.#leaving.abort();
    this.#shown.abort();
    clearTimeout(this.#soon);
  }

  #arrive() {
    if (!this.#shown.signal.aborted) return;
    this.#shown = new AbortController();
    const { signal } = this.#shown;
    const clock = setInterval(() => !document.hidden && void this.#askHealth(), EVERY_MS);
    signal.addEventListener("abort", () => clearInterval(clock));
    app.shortcuts.add([{ keys: "/", words: "models.keys.find", action: () => this.#find.focus() }], { signal });
    void this.#ask();
  }

  /** @param {ReadonlyMap<string, import("../state.js").ModelState>} models */
  #hear(models) {
    this.#list.progress(models);
    for (const [id, { status }] of models) {
      if (this.#statuses.get(id) === status) continue;
      this.#statuses.set(id, status);
      this.#askSoon();
    }
  }

  #askSoon() {
    if (this.#shown.signal.aborted) return;
    clearTimeout(this.#soon);
    this.#soon = setTimeout(() => void this.#ask(), SOON_MS);
  }

  async #ask() {
    const { signal } = this.#shown;
    if (signal.aborted) return;
    await Promise.all([this.#askHealth(), this.#askModels()]);
  }

  async #askHealth() {
    const { signal } = this.#shown;
    try {
      const [ready, server] = await Promise.all([app.client.api.ready({ signal }), app.client.api.server({ signal })]);
      if (signal.aborted) return;
      this.#health.show(ready, server);
      const maySwitch = server.key.scopes.includes("models:write") || server.key.scopes.includes("admin");
      this.#download.hidden = !(maySwitch && server.allows_downloads);
      this.#list.serve(server, maySwitch);
    } catch (error) {
      if (!signal.aborted) this.#health.lost(error);
    }
  }

  async #askModels() {
    const { signal } = this.#shown;
    try {
      const { models } = await app.client.api.models({ signal });
      if (!signal.aborted) this.#list.show(models);
    } catch (error) {
      if (signal.aborted || (error instanceof SafelightError && error.code === "unreachable")) return;
      app.notices.tell(error);
    }
  }
}

customElements.define("sl-models-view", ModelsView);
