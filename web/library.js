/** Which models, presets and styles the server has: asked for once, and models again when the server says they changed. */

import { app } from "./app.js";

/**
 * @typedef {import("./client/index.js").ModelInfo} ModelInfo
 * @typedef {import("./client/index.js").StyleInfo} StyleInfo
 * @typedef {import("./client/index.js").PresetInfo} PresetInfo
 */

/** Fires `change` when there is something else than before. */
export class Library extends EventTarget {
  /** @type {readonly ModelInfo[]} */
  models = [];
  /** @type {readonly PresetInfo[]} */
  presets = [];
  /** @type {readonly StyleInfo[]} none until `wantStyles` was called: there are hundreds. */
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
      const [{ models }, { presets }] = await Promise.all([app.client.api.models({ signal }), app.client.api.presets({ signal })]);
      if (asked !== this.#asked) return;
      this.models = models;
      this.presets = presets;
      this.isKnown = true;
      this.dispatchEvent(new Event("change"));
    } catch {
      // The connection's state says that the server does not answer, or wants a key; then it is asked again.
    }
  }

  /**
   * Ask for the styles, once.
   *
   * @throws {import("./client/index.js").SafelightError} the server did not tell them; the next call asks again.
   */
  async wantStyles() {
    if (this.styles.length > 0) return;
    const { styles } = await app.client.api.styles();
    this.styles = styles;
    this.dispatchEvent(new Event("change"));
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
