/** One job that runs or waits, as a line: how far it is, and the way to end it. */

import { app } from "../app.js";
import { h, say } from "../dom.js";
import { standing, subject, taskName } from "../job-words.js";
import { previewUrl } from "../preview-url.js";
import { address } from "../router.js";
import { t } from "../words/words.js";

/**
 * @typedef {import("../state.js").JobState} JobState
 * @typedef {import("../state.js").Preview} Preview
 */

/** From one preview to the next, at least. */
const PREVIEW_MS = 120;

export class ActiveJob extends HTMLElement {
  #picture = h("img", { alt: "", hidden: true });
  #title = h("a", { className: "active-title" });
  #task = h("span", { className: "tag" });
  #standing = h("span", { className: "soft numbers" });
  #bar = h("progress", { max: 1 });
  #cancel = h("button", { type: "button", className: "small" }, t("shell.cancel"));
  /** @type {JobState | undefined} */
  #entry;
  /** @type {Preview | undefined} */
  #preview;
  #isDeveloping = false;
  #shownUrl = "";

  connectedCallback() {
    if (this.childElementCount > 0) return;
    this.#cancel.onclick = () => this.#end();
    this.append(
      h("span", { className: "active-picture" }, this.#picture),
      h("div", { className: "active-words" }, h("div", { className: "row" }, this.#task, this.#title), this.#bar, this.#standing),
      this.#cancel,
    );
  }

  disconnectedCallback() {
    URL.revokeObjectURL(this.#shownUrl);
  }

  /** @param {JobState} entry */
  set entry(entry) {
    if (entry === this.#entry) return;
    this.#entry = entry;
    const { job, live } = entry;
    const name = taskName(job.task);
    const words = subject(job);
    this.setAttribute("status", job.status);
    say(this.#task, name);
    say(this.#title, words === "" ? t("history.details") : words);
    this.#title.href = address("history", { job: job.id });
    this.#title.setAttribute("aria-label", t("history.detailsOf", { job: words === "" ? name : words.slice(0, 120) }));
    this.#cancel.setAttribute("aria-label", t("history.cancelOf", { job: words === "" ? name : words.slice(0, 120) }));
    this.#cancel.disabled = job.cancel_requested === true;
    this.#bar.hidden = job.status !== "running";
    this.#bar.setAttribute("aria-label", t("history.progressOf", { task: name }));
    // Without a value the bar says that it is not known how far it is.
    if (live.progress === undefined) this.#bar.removeAttribute("value");
    else if (this.#bar.value !== live.progress || !this.#bar.hasAttribute("value")) this.#bar.value = live.progress;
    say(this.#standing, standing(entry));
    if (live.preview !== undefined) void this.#develop();
  }

  /** Show the newest preview, then the one that is the newest by then: small as they are, a few a second are enough. */
  async #develop() {
    if (this.#isDeveloping) return;
    this.#isDeveloping = true;
    while (this.isConnected) {
      const preview = this.#entry?.live.preview;
      if (preview === undefined || preview === this.#preview) break;
      await this.#show(preview);
      await new Promise((resolve) => setTimeout(resolve, PREVIEW_MS));
    }
    this.#isDeveloping = false;
  }

  /** @param {Preview} preview */
  async #show(preview) {
    this.#preview = preview;
    /** @type {string} */
    let url;
    try {
      url = await previewUrl(preview);
    } catch {
      return; // the next one may be whole
    }
    if (!this.isConnected) {
      URL.revokeObjectURL(url);
      return;
    }
    const before = this.#shownUrl;
    this.#shownUrl = url;
    this.#picture.src = url;
    this.#picture.hidden = false;
    URL.revokeObjectURL(before);
  }

  async #end() {
    const id = this.#entry?.job.id;
    if (id === undefined) return;
    try {
      app.store.put([await app.client.api.cancel(id)]);
    } catch (error) {
      app.notices.tell(error);
    }
  }
}

customElements.define("sl-active-job", ActiveJob);
