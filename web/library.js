/** Which models and styles the server has: asked for once, and again when the server says that they changed. */

import { app } from "./app.js";

/**
 * @typedef {import("./client/index.js").ModelInfo} ModelInfo
 * @typedef {import("./client/index.js").StyleInfo} StyleInfo
 */

/** Fires `change` when there is something else than before. */
export class Library extends EventTarget {
  /** @type {readonly ModelInfo[]} */
  models = [];
  /** @type {readonly StyleInfo[]} */
  styles = [];
  /** Whether the server has answered yet. */
  isKnown = false;
  #asked = 0;

  /**
   * Keep up with the server.
   *
   * @param {AbortSignal} signal
   */
  follow(signal) {
    app.store.watch(
      (state) => state.connection.phase === "open",
      (isOpen) => {
        if (isOpen || !this.isKnown) void this.refresh(signal);
      },
      { signal },
    );
    app.store.watch(_changes, (changes) => changes !== "" && void this.refresh(signal), { signal });
  }

  /**
   * @param {AbortSignal} signal
   */
  async refresh(signal) {
    this.#asked += 1;
    const asked = this.#asked;
    try {
      const [{ models }, { styles }] = await Promise.all([app.client.api.models({ signal }), app.client.api.styles({ signal })]);
      if (asked !== this.#asked) return;
      this.models = models;
      this.styles = styles;
      this.isKnown = true;
      this.dispatchEvent(new Event("change"));
    } catch {
      // The connection's state says that the server does not answer, or wants a key; then it is asked again.
    }
  }

  /**
   * @param {string} kind
   * @param {ModelInfo["tasks"][number]} [task]
   * @returns {ModelInfo[]} those that can be used.
   */
  usable(kind, task) {
    return this.models.filter((each) => {
      return each.kind === kind && each.is_present && each.problem == null && (task === undefined || each.tasks.includes(task));
    });
  }

  /**
   * @param {string | null | undefined} name - none for the default.
   * @returns {ModelInfo | undefined}
   */
  checkpoint(name) {
    return this.models.find((each) => each.kind === "checkpoint" && (name ? each.name === name : each.is_default));
  }
}

export const library = new Library();

/**
 * @param {import("./state.js").State} state
 * @returns {string} another one whenever a model has come or gone.
 */
function _changes({ models }) {
  return [...models].filter(([, { status }]) => status !== "loading").map(([id, { status }]) => `${id} ${status}`).join();
}
