/** One model: what it is, whether it is in memory, on its way or broken, and what can be done with it. */

import { app } from "../app.js";
import { h, say } from "../dom.js";
import { percent, taskName } from "../job-words.js";
import { hasWords, size, t } from "../words/words.js";

/**
 * @typedef {Awaited<ReturnType<import("../client/index.js").Api["model"]>>} Model
 * @typedef {import("../state.js").ModelState} ModelState
 *
 * @typedef {object} Place - Where a model is, or would be.
 * @property {number} [memoryBytes] - what it takes; nothing if it is not in memory.
 * @property {string} device
 * @property {boolean} maySwitch - whether the reader may load and unload.
 */

export class ModelRow extends HTMLElement {
  #name = h("span", { className: "model-name", translate: false });
  #title = h("span", { className: "soft model-title" });
  #tags = h("span", { className: "row model-tags" });
  #problem = h("p", { className: "model-problem" });
  #way = h("div", { className: "model-way", hidden: true });
  #bar = h("progress", { max: 1 });
  #far = h("span", { className: "soft numbers" });
  #load = this.#button("models.load", (id) => app.client.api.loadModel(id));
  #unload = this.#button("models.unload", (id) => app.client.api.unloadModel(id));
  #stop = this.#button("models.stop", (id) => app.client.api.cancelDownload(id));
  #hash = this.#button("models.hash", (id) => app.client.api.hashModel(id));
  #facts = h("dl", { className: "facts" });
  #more = h("details", { className: "model-more" }, h("summary", {}, t("models.more")), this.#facts, this.#hash);
  /** @type {Model | undefined} */
  #model;
  /** @type {Place} */
  #place = { device: "", maySwitch: false };
  /** @type {ModelState | undefined} */
  #state;

  connectedCallback() {
    if (this.childElementCount > 0) return;
    this.#way.append(this.#bar, this.#far);
    this.append(
      h("div", { className: "model-main" }, h("div", { className: "row" }, this.#name, this.#tags), this.#title, this.#problem, this.#way),
      h("div", { className: "row model-actions" }, this.#load, this.#unload, this.#stop),
      this.#more,
    );
  }

  /**
   * @param {Model} model
   * @param {Place} place
   * @param {ModelState | undefined} state - what events say of it since the page was opened.
   */
  show(model, place, state) {
    if (model === this.#model && place.memoryBytes === this.#place.memoryBytes && place.maySwitch === this.#place.maySwitch) return;
    this.#model = model;
    this.#place = place;
    this.#state = state;
    const { name, title, family, tasks, licence, defaults, sha256, file, source, problem } = model;
    say(this.#name, name);
    say(this.#title, title === name ? "" : title);
    this.#title.hidden = title === name;
    this.#facts.replaceChildren(
      ..._facts({
        "models.file": file,
        "models.source": source,
        "models.family": family,
        "models.tasks": tasks.map(taskName).join(", "),
        "models.licence": licence,
        "models.defaults":
          defaults && t("models.defaultsAre", { width: defaults.width, height: defaults.height, steps: defaults.steps, guidance: defaults.guidance_scale }),
        "models.sha256": sha256,
      }),
    );
    this.#hash.hidden = !place.maySwitch || !model.is_present || sha256 != null || file == null;
    const trouble = problem ?? model.download?.problem ?? "";
    this.#problem.hidden = trouble === "";
    say(this.#problem, trouble);
    for (const button of [this.#load, this.#unload, this.#stop, this.#hash]) {
      button.setAttribute("aria-label", t("models.doTo", { action: button.textContent ?? "", model: name }));
    }
    this.#change();
  }

  /** @param {ModelState} state */
  progress(state) {
    this.#state = state;
    this.#change();
  }

  #change() {
    const model = this.#model;
    if (model === undefined) return;
    const state = this.#state;
    const isLoading = state?.status === "loading";
    // The list is asked for after each event, and knows best; between the two the event does.
    const isLoaded = state === undefined || isLoading ? model.is_loaded : state.status === "loaded" || (state.status !== "unloaded" && model.is_loaded);
    const { download } = model;
    const isDownloading = isLoading ? state.phase === "download" || state.phase === "check" : download != null && download.problem == null;
    const done = isLoading ? state.done : download?.done_bytes;
    const total = isLoading ? state.total : (download?.total_bytes ?? undefined);
    const isOnItsWay = isLoading || isDownloading;
    this.toggleAttribute("loaded", isLoaded);
    this.#way.hidden = !isOnItsWay;
    if (isOnItsWay) this.#showWay(isLoading ? (state.phase ?? "read") : "download", done, total);
    const { maySwitch, device, memoryBytes } = this.#place;
    this.#load.hidden = !maySwitch || model.kind !== "checkpoint" || !model.is_present || isLoaded || isOnItsWay || model.problem != null;
    this.#unload.hidden = !maySwitch || !isLoaded;
    this.#stop.hidden = !maySwitch || !isDownloading;
    const where = memoryBytes ? t("models.memoryOn", { device, size: size(memoryBytes) }) : device;
    const tags = [
      isLoaded && (device === "" ? t("models.loaded") : t("models.loadedOn", { device: where })),
      model.is_default && t("models.default"),
      model.family,
      model.size_bytes > 0 && size(model.size_bytes),
    ].filter((tag) => typeof tag === "string");
    if ([...this.#tags.children].map((each) => each.textContent).join("\n") !== tags.join("\n")) {
      this.#tags.replaceChildren(...tags.map((tag, at) => h("span", { className: "tag numbers", "data-loaded": isLoaded && at === 0 }, tag)));
    }
  }

  /**
   * @param {string} phase
   * @param {number | undefined} done
   * @param {number | undefined} total
   */
  #showWay(phase, done, total) {
    const words = t(hasWords(`models.phase.${phase}`) ? `models.phase.${phase}` : "models.phase.read");
    this.#bar.setAttribute("aria-label", words);
    if (done === undefined || !total) {
      this.#bar.removeAttribute("value");
      say(this.#far, done ? `${words} ${size(done)}` : words);
      return;
    }
    const share = Math.min(1, done / total);
    this.#bar.value = share;
    say(this.#far, t("models.far", { phase: words, percent: percent(share), done: size(done), total: size(total) }));
  }

  /**
   * @param {string} words
   * @param {(id: string) => Promise<unknown>} act
   * @returns {HTMLButtonElement}
   */
  #button(words, act) {
    const button = h("button", { type: "button", className: "small", hidden: true }, t(words));
    button.onclick = async () => {
      const id = this.#model?.id ?? this.#model?.name;
      if (id === undefined) return;
      button.disabled = true;
      try {
        await act(id);
        this.dispatchEvent(new CustomEvent("changed", { bubbles: true }));
      } catch (error) {
        app.notices.tell(error);
      } finally {
        button.disabled = false;
      }
    };
    return button;
  }
}

/**
 * @param {Record<string, string | null | undefined>} facts
 * @returns {Element[]}
 */
function _facts(facts) {
  return Object.entries(facts).flatMap(([words, value]) => {
    return value === null || value === undefined || value === "" ? [] : [h("dt", {}, t(words)), h("dd", { translate: false }, value)];
  });
}

customElements.define("sl-model-row", ModelRow);
