/** One picture of a job: it develops in place from its previews, until it is there and can be opened. */

import { app } from "../app.js";
import { h } from "../dom.js";
import { decoded, previewUrl } from "../preview-url.js";

/** @typedef {import("../state.js").Preview} Preview */

/** How far outside the window a picture is got ready. */
const NEAR = "400px";

/** What nobody can see is not loaded and not decoded: there may be a hundred cards, and another view may be shown. */
const nearness = new IntersectionObserver(
  (entries) => entries.forEach(({ target, isIntersecting }) => /** @type {JobPicture} */ (target).comeNear(isIntersecting)),
  { rootMargin: NEAR },
);

/** Fires `open`, which bubbles, with the number of the picture as its `detail`. */
export class JobPicture extends HTMLElement {
  #leaving = new AbortController();
  #button = h("button", { type: "button", className: "job-picture", disabled: true });
  #image = h("img", { alt: "", decoding: "async" });
  #jobId = "";
  #index = 0;
  /** What is to be shown: a preview, or `output`; and what is, or is on its way. */
  #wanted = /** @type {unknown} */ (null);
  #shown = /** @type {unknown} */ (null);
  #isDecoding = false;
  #isNear = false;
  /** @type {string | null} */
  #previewUrl = null;
  #isFinished = false;

  connectedCallback() {
    this.#leaving = new AbortController();
    const { signal } = this.#leaving;
    this.#button.addEventListener("click", () => this.dispatchEvent(new CustomEvent("open", { detail: this.#index, bubbles: true })), { signal });
    this.#button.append(this.#image);
    this.replaceChildren(this.#button);
    nearness.observe(this);
  }

  disconnectedCallback() {
    this.#leaving.abort();
    nearness.unobserve(this);
    this.#letGo();
  }

  /** @param {boolean} isNear - to what can be seen. */
  comeNear(isNear) {
    this.#isNear = isNear;
    void this.#decode();
  }

  /**
   * @param {string} jobId
   * @param {number} index
   */
  stand(jobId, index) {
    this.#jobId = jobId;
    this.#index = index;
  }

  /**
   * The frame has the shape of the picture before there is one.
   *
   * @param {number} width
   * @param {number} height
   */
  frame(width, height) {
    const shape = `${width} / ${height}`;
    if (this.style.aspectRatio !== shape) this.style.aspectRatio = shape;
  }

  /** @param {string} name - for screen readers. */
  set name(name) {
    if (this.#button.getAttribute("aria-label") !== name) this.#button.setAttribute("aria-label", name);
  }

  get isEmpty() {
    return this.#wanted === null;
  }

  /** @param {Preview} preview */
  develop(preview) {
    if (this.#isFinished || this.#wanted === preview) return;
    this.#wanted = preview;
    void this.#decode();
  }

  /** Show the output, once it has been loaded; until then the last preview stays. */
  finish() {
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.#wanted = "output";
    this.#button.disabled = false;
    this.dataset.finished = "";
    void this.#decode();
  }

  /** Ask again for an output that could not be had, as while the server was away. */
  retry() {
    if (this.dataset.missing === undefined) return;
    delete this.dataset.missing;
    this.#shown = null;
    void this.#decode();
  }

  /** Show what is wanted, one after another: while a picture is decoded, only the newest of those that come waits. */
  async #decode() {
    if (this.#isDecoding) return;
    this.#isDecoding = true;
    const { signal } = this.#leaving;
    while (this.#isNear && this.#shown !== this.#wanted && !signal.aborted) {
      const shown = this.#wanted;
      this.#shown = shown;
      try {
        if (shown === "output") await this.#showOutput(signal);
        else await this.#showPreview(/** @type {Preview} */ (shown), signal);
      } catch {
        // A preview that cannot be decoded makes room for the next.
        if (shown === "output" && !signal.aborted) this.dataset.missing = "";
      }
    }
    this.#isDecoding = false;
  }

  /**
   * @param {Preview} preview
   * @param {AbortSignal} signal
   */
  async #showPreview(preview, signal) {
    const url = await previewUrl(preview);
    if (signal.aborted) {
      URL.revokeObjectURL(url);
      return;
    }
    this.#image.src = url;
    this.dataset.step = String(preview.step);
    this.#letGo();
    this.#previewUrl = url;
  }

  /** @param {AbortSignal} signal */
  async #showOutput(signal) {
    const url = await app.pictures.url(this.#jobId, this.#index, { maxSidePx: _sidePx(this) });
    await decoded(url);
    if (signal.aborted) return;
    this.#image.src = url;
    delete this.dataset.step;
    this.#letGo();
  }

  /** The browser keeps what an address stands for until it is revoked. */
  #letGo() {
    if (this.#previewUrl !== null) URL.revokeObjectURL(this.#previewUrl);
    this.#previewUrl = null;
  }
}

/**
 * @param {Element} element
 * @returns {number} which copy of the output to ask for: few sizes, so that the server has it already.
 */
function _sidePx(element) {
  const columns = Number(/** @type {HTMLElement | null} */ (element.parentElement)?.dataset.columns ?? 1);
  return (columns > 1 ? 256 : 512) * (devicePixelRatio > 1.25 ? 2 : 1);
}

customElements.define("sl-job-picture", JobPicture);
