/** The outputs of a job, one of them large; before there is one, how it develops. */

import { app } from "../app.js";
import { saveOutput } from "../downloads.js";
import { h, say } from "../dom.js";
import { previewUrl } from "../preview-url.js";
import { TERMINAL } from "../state.js";
import { number, size, t } from "../words/words.js";

/**
 * @typedef {import("../client/index.js").JobSnapshot} Job
 * @typedef {import("../state.js").JobState} JobState
 */

/** Sharp on any screen; the whole picture is one click away. */
const LARGE_PX = 1600;
const SMALL_PX = 128;

export class OutputStage extends HTMLElement {
  #looking = new AbortController();
  #picture = h("img", { alt: "", hidden: true });
  #words = h("pre", { className: "stage-words", hidden: true, tabIndex: 0 });
  #none = h("p", { className: "soft" });
  #strip = h("div", { className: "stage-strip", role: "group", "aria-label": t("details.outputs"), hidden: true });
  #facts = h("p", { className: "soft numbers" });
  #data = h("dl", { className: "facts numbers" });
  #open = h("a", { className: "button small", target: "_blank" }, t("details.fullSize"));
  #save = h("button", { type: "button", className: "small", onclick: () => this.#saveShown() }, t("history.download"));
  #file = h("details", { hidden: true }, h("summary", {}, t("details.file")));
  #row = h("div", { className: "row", hidden: true }, this.#open, this.#save);
  /** @type {Job | undefined} */
  #job;
  /** Which output is shown. */
  number = 0;
  #isChosen = false;
  /** The newest preview there was, and the address of the one that is shown. @type {import("../state.js").Preview | null} */
  #preview = null;
  #previewUrl = "";

  connectedCallback() {
    if (this.childElementCount > 0) return;
    this.#file.addEventListener("toggle", () => this.#file.open && void this.#readFile());
    this.append(h("div", { className: "stage" }, this.#picture, this.#words, this.#none), this.#strip, this.#facts, this.#row, this.#data, this.#file);
  }

  clear() {
    this.#looking.abort();
    this.#looking = new AbortController();
    this.#job = undefined;
    this.number = 0;
    this.#isChosen = false;
    this.#letGo();
    this.#picture.hidden = true;
    this.#picture.removeAttribute("src");
    this.#words.hidden = true;
    this.#data.replaceChildren();
    this.#strip.replaceChildren();
    this.#strip.hidden = this.#row.hidden = this.#file.hidden = true;
    this.#file.open = false;
    say(this.#none, "");
    say(this.#facts, "");
  }

  /** @param {JobState} entry */
  show({ job, live }) {
    const isNew = job.outputs.length !== this.#job?.outputs.length;
    this.#job = job;
    if (job.outputs.length === 0) {
      if (live.preview !== undefined) void this.#develop(live.preview);
      say(this.#none, live.preview !== undefined ? "" : t(TERMINAL.has(job.status) ? "details.noOutputEver" : "details.noOutput"));
      return;
    }
    if (!isNew) return;
    say(this.#none, "");
    this.#strip.hidden = job.outputs.length < 2;
    for (const output of job.outputs.slice(this.#strip.childElementCount)) {
      const image = h("img", { alt: "", width: 56, height: 56 });
      const name = t("details.output", { number: output.index + 1 });
      this.#strip.append(
        h("button", { type: "button", className: "quiet", "aria-label": name, onclick: () => this.#choose(output.index) }, image),
      );
      void app.pictures.show(image, job.id, output.index, { maxSidePx: SMALL_PX, signal: this.#looking.signal }).catch(() => {});
    }
    if (!this.#isChosen) this.#choose(job.outputs[0]?.index ?? 0);
  }

  /** @param {number} index */
  #choose(index) {
    const job = this.#job;
    const output = job?.outputs.find((each) => each.index === index);
    if (job === undefined || output === undefined) return;
    this.number = index;
    this.#isChosen = true;
    job.outputs.forEach((each, place) => this.#strip.children[place]?.setAttribute("aria-pressed", String(each.index === index)));
    const isPicture = output.media_type.startsWith("image/");
    this.#picture.hidden = !isPicture;
    this.#row.hidden = false;
    this.#file.hidden = !isPicture;
    this.#file.open = false;
    const { signal } = this.#looking;
    if (isPicture) {
      this.#picture.alt = t("details.output", { number: index + 1 });
      if (output.width && output.height) this.#picture.style.aspectRatio = `${output.width} / ${output.height}`;
      app.pictures.show(this.#picture, job.id, index, { maxSidePx: LARGE_PX, signal }).then(
        () => this.#letGo(),
        (error) => app.notices.tell(error),
      );
      app.pictures.url(job.id, index).then((url) => (this.#open.href = url), () => {});
    }
    this.#open.hidden = !isPicture;
    const { text, ...known } = /** @type {Record<string, unknown>} */ (output.data ?? {});
    this.#words.hidden = typeof text !== "string";
    say(this.#words, typeof text === "string" ? text : "");
    this.#data.replaceChildren(...Object.entries(known).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, _readable(value))]));
    const facts = [
      output.width && output.height ? `${number(output.width)} × ${number(output.height)}` : "",
      output.media_type,
      size(output.size_bytes),
      output.seed == null ? "" : t("details.seed", { seed: String(output.seed) }),
    ];
    say(this.#facts, facts.filter((fact) => fact !== "").join(" · "));
  }

  /** @param {import("../state.js").Preview} preview */
  async #develop(preview) {
    if (this.#preview === preview) return;
    this.#preview = preview;
    const { signal } = this.#looking;
    /** @type {string} */
    let url;
    try {
      url = await previewUrl(preview);
    } catch {
      return; // the next one may be whole
    }
    if (signal.aborted || this.#isChosen || this.#preview !== preview) {
      URL.revokeObjectURL(url);
      return;
    }
    this.#picture.src = url;
    this.#picture.hidden = false;
    URL.revokeObjectURL(this.#previewUrl);
    this.#previewUrl = url;
  }

  /** The browser keeps what an address stands for until it is revoked. */
  #letGo() {
    URL.revokeObjectURL(this.#previewUrl);
    this.#previewUrl = "";
    this.#preview = null;
  }

  #saveShown() {
    const job = this.#job;
    const output = job?.outputs.find((each) => each.index === this.number);
    if (job !== undefined && output !== undefined) saveOutput(job, output).catch((error) => app.notices.tell(error));
  }

  /** What the file itself says it was made with. */
  async #readFile() {
    const job = this.#job;
    if (job === undefined) return;
    const { signal } = this.#looking;
    const told = h("pre", { className: "stage-words", tabIndex: 0 }, t("history.loading"));
    this.#file.replaceChildren(/** @type {Element} */ (this.#file.firstElementChild), told);
    try {
      const blob = await app.client.api.output(job.id, this.number, { signal });
      const { text } = await app.client.api.recipe(blob, { signal });
      say(told, text || t("recipe.none"));
    } catch (error) {
      if (!signal.aborted) say(told, t("recipe.none"));
    }
  }
}

/**
 * @param {unknown} data - what the task knows of an output beside its file.
 * @returns {string}
 */
function _readable(data) {
  if (data === null || typeof data !== "object") return String(data);
  return JSON.stringify(data, (_, value) => (typeof value === "bigint" ? String(value) : value), 2);
}

customElements.define("sl-output-stage", OutputStage);
