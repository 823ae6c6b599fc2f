/** Whether the page hears the server: always visible, and said aloud when it changes. */

import { app } from "../app.js";
import { h, say } from "../dom.js";
import { duration, errorWords, t } from "../words/words.js";

/** @typedef {import("../state.js").State} State */

export class ConnectionState extends HTMLElement {
  #leaving = new AbortController();
  #words = h("span");
  #retry = h("button", { type: "button", className: "quiet small", hidden: true });
  /** @type {number | undefined} */
  #clock;
  #retryAt = 0;

  connectedCallback() {
    this.#leaving = new AbortController();
    const { signal } = this.#leaving;
    this.#retry.textContent = t("connection.retry");
    this.#retry.addEventListener("click", () => app.client.retryNow(), { signal });
    this.replaceChildren(this.#words, this.#retry);
    let before = "connecting";
    app.store.watch(
      (state) => state.connection,
      (connection, state) => {
        this.#show(state);
        if (before === "lost" && connection.phase === "open") app.notices.announce(t("connection.back"));
        if (connection.phase === "lost" && before === "open") app.notices.announce(t("connection.lost"));
        before = connection.phase;
      },
      { signal },
    );
    app.store.watch(
      (state) => state.isDraining,
      (_, state) => this.#show(state),
      { signal },
    );
  }

  disconnectedCallback() {
    this.#leaving.abort();
    clearInterval(this.#clock);
  }

  /** @param {State} state */
  #show({ connection, isDraining }) {
    const { phase, reason, code, retryInMs } = connection;
    this.setAttribute("phase", phase);
    this.title = code === undefined ? (reason ?? "") : errorWords({ code, message: reason });
    clearInterval(this.#clock);
    this.#retry.hidden = phase !== "lost";
    if (phase === "lost" && retryInMs !== undefined) {
      this.#retryAt = Date.now() + retryInMs;
      this.#clock = setInterval(() => this.#countDown(), 1000);
      this.#countDown();
    } else {
      say(this.#words, isDraining && phase === "open" ? t("connection.draining") : t(`connection.${phase}`));
    }
  }

  #countDown() {
    const seconds = Math.round((this.#retryAt - Date.now()) / 1000);
    say(this.#words, seconds < 1 ? t("connection.lost") : t("connection.lost.retry", { seconds: duration(seconds) }));
  }
}

customElements.define("sl-connection-state", ConnectionState);
