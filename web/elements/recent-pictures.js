/** The newest pictures that jobs have made, to go on with. */

import { app } from "../app.js";
import { h } from "../dom.js";
import { t } from "../words/words.js";

const MOST = 8;
const SIDE_PX = 256;

export class RecentPictures extends HTMLElement {
  #leaving = new AbortController();
  #list = h("ul", { "aria-label": t("edit.recent") });
  #shown = "";

  connectedCallback() {
    this.#leaving = new AbortController();
    this.replaceChildren(h("h2", {}, t("edit.recent")), this.#list);
    app.store.watch((state) => state.jobs, () => this.#show(), { signal: this.#leaving.signal });
  }

  disconnectedCallback() {
    this.#leaving.abort();
  }

  #show() {
    // What is not seen costs nothing.
    if (this.parentElement?.closest("[hidden]") != null) return;
    /** @type {string[]} */
    const refs = [];
    for (const id of app.store.state.order) {
      const job = app.store.state.jobs.get(id)?.job;
      if (job === undefined || _isMask(job)) continue;
      for (const { media_type: type, index } of job.outputs) if (type.startsWith("image/")) refs.push(`job:${id}/${index}`);
      if (refs.length >= MOST) break;
    }
    const shown = refs.slice(0, MOST);
    if (this.#shown === shown.join() && this.#list.firstChild !== null) return;
    this.#shown = shown.join();
    this.hidden = shown.length === 0;
    this.#list.replaceChildren(...shown.map((ref, place) => this.#item(ref, place)));
  }

  /**
   * @param {string} ref
   * @param {number} place
   */
  #item(ref, place) {
    const image = h("img", { alt: "", loading: "lazy" });
    const [id = "", index] = ref.slice("job:".length).split("/");
    app.pictures.show(image, id, Number(index), { maxSidePx: SIDE_PX }).catch(() => {});
    const open = () => app.router.go("edit", { picture: ref });
    return h("li", {}, h("button", { type: "button", className: "quiet", onclick: open, "aria-label": t("edit.recent.one", { number: place + 1 }) }, image));
  }
}

/**
 * @param {import("../client/index.js").JobSnapshot} job
 * @returns {boolean} whether its pictures are masks.
 */
function _isMask({ task, params }) {
  return task === "segment" || task === "adjust_mask" || /** @type {{result?: unknown}} */ (params).result === "mask";
}

customElements.define("sl-recent-pictures", RecentPictures);
