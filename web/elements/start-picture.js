/** A picture to start from, and how much of it may change: chosen from the disk, dropped, pasted, or made by a job. */

import { app } from "../app.js";
import { h, say, uniqueId } from "../dom.js";
import { wrong } from "../field.js";
import { icon } from "../icons.js";
import { number, t } from "../words/words.js";

/** Fires `change`, which bubbles. */
export class StartPicture extends HTMLElement {
  #leaving = new AbortController();
  #asking = new AbortController();
  /** @type {Promise<void>} */
  #settled = Promise.resolve();
  #ref = "";
  /** Of a picture that only this element shows. */
  #ownUrl = "";
  #file = h("input", { type: "file", accept: "image/*", hidden: true, tabIndex: -1, "aria-label": t("make.picture.choose") });
  #choose = h("button", { type: "button" }, icon("picture"), t("make.picture.choose"));
  #hint = h("span", { className: "soft" }, t("make.picture.hint"));
  #image = h("img", { alt: t("make.picture") });
  #standing = h("p", { className: "soft", role: "status" });
  #strength = h("input", { type: "range", id: uniqueId("strength"), min: "0", max: "1", step: "0.01", value: "0.75" });
  #amount = h("output", { className: "numbers" });
  #empty = h("div", { className: "row" }, this.#choose, this.#file, this.#hint);
  #full = h("div", { className: "start-picture", hidden: true });
  #isBuilt = false;

  connectedCallback() {
    this.#leaving = new AbortController();
    if (this.#isBuilt) return;
    this.#isBuilt = true;
    this.#choose.addEventListener("click", () => this.#file.click());
    this.#file.addEventListener("change", () => {
      const [file] = this.#file.files ?? [];
      this.#file.value = "";
      if (file !== undefined) this.take(file);
    });
    this.#image.addEventListener("error", () => this.#ref !== "" && this.#miss());
    this.#strength.addEventListener("input", () => this.#tellStrength());
    this.#full.append(
      this.#image,
      h(
        "div",
        { className: "start-picture-side" },
        h("div", { className: "field", "data-field": "strength" }, h("label", { for: this.#strength.id, className: "label-row" }, t("make.strength"), this.#amount), this.#strength, wrong()),
        h("p", { className: "field-help" }, t("make.strength.help")),
        this.#standing,
      ),
      h("button", { type: "button", className: "icon quiet", "aria-label": t("make.picture.remove"), title: t("make.picture.remove"), onclick: () => this.#remove() }, icon("close")),
    );
    this.replaceChildren(
      h("div", { role: "group", "aria-label": t("make.picture"), className: "field", "data-field": "image" }, h("span", { className: "label" }, t("make.picture")), this.#empty, this.#full, wrong()),
    );
    this.#tellStrength();
  }

  disconnectedCallback() {
    this.#leaving.abort();
  }

  /** @returns {{image: string, strength: number}} */
  get value() {
    return { image: this.#ref, strength: this.#strength.valueAsNumber };
  }

  set value({ image, strength }) {
    this.#strength.value = String(strength);
    this.#tellStrength();
    if (image !== this.#ref) this.#use(image);
  }

  /** Once the picture has reached the server. @returns {Promise<void>} @throws what kept it from it. */
  get settled() {
    return this.#settled;
  }

  /**
   * Take a file: it is shown at once, and sent.
   *
   * @param {File | Blob} file
   */
  take(file) {
    this.#use("");
    const url = URL.createObjectURL(file);
    this.#show(url, true);
    this.#ownUrl = url;
    say(this.#standing, t("make.picture.sending"));
    const { signal } = this.#asking;
    const name = file instanceof File ? file.name : undefined;
    const sent = app.client.api.upload(file, { name, signal }).then(
      (upload) => {
        if (signal.aborted) return;
        this.#ref = upload.ref;
        say(this.#standing, t("make.picture.size", { width: upload.width, height: upload.height }));
        this.#changed();
      },
      (error) => {
        if (signal.aborted) return;
        this.#remove();
        app.notices.tell(error);
        throw error;
      },
    );
    sent.catch(() => {});
    this.#settled = sent;
  }

  /** @param {string} ref */
  #use(ref) {
    this.#asking.abort();
    this.#asking = new AbortController();
    this.#settled = Promise.resolve();
    this.#ref = ref;
    say(this.#standing, "");
    this.#show("", ref !== "");
    if (ref !== "") void this.#showNamed(ref, this.#asking.signal);
    this.#changed();
  }

  /**
   * @param {string} ref - `upload:ID` or `job:ID/N`.
   * @param {AbortSignal} signal
   */
  async #showNamed(ref, signal) {
    try {
      const [, jobId, index] = /^job:([^/]+)\/(\d+)$/.exec(ref) ?? [];
      const isOutput = jobId !== undefined;
      const url = isOutput ? await app.pictures.url(jobId, Number(index), { maxSidePx: 256 }) : await _uploadUrl(ref, signal);
      if (!signal.aborted) this.#show(url, true);
      if (isOutput) return;
      if (signal.aborted) URL.revokeObjectURL(url);
      else this.#ownUrl = url;
    } catch {
      if (!signal.aborted) this.#miss();
    }
  }

  /** It was removed, as uploads are after some hours: the server would refuse it. */
  #miss() {
    this.#use("");
    app.notices.show({ kind: "info", text: t("make.picture.gone") });
  }

  #remove() {
    this.#use("");
    this.#choose.focus();
  }

  /**
   * @param {string} url
   * @param {boolean} isThere
   */
  #show(url, isThere) {
    URL.revokeObjectURL(this.#ownUrl);
    this.#ownUrl = "";
    if (url === "") this.#image.removeAttribute("src");
    else this.#image.src = url;
    this.#empty.hidden = isThere;
    this.#full.hidden = !isThere;
  }

  #tellStrength() {
    say(this.#amount, number(this.#strength.valueAsNumber, { minimumFractionDigits: 2 }));
  }

  #changed() {
    this.dispatchEvent(new Event("change", { bubbles: true }));
  }
}

/**
 * @param {string} ref - `upload:ID`.
 * @param {AbortSignal} signal
 * @returns {Promise<string>} an address to revoke.
 */
async function _uploadUrl(ref, signal) {
  const id = ref.replace(/^upload:/, "");
  return URL.createObjectURL(await app.client.api.uploaded(id, { accept: "image/webp, image/png", signal }));
}

customElements.define("sl-start-picture", StartPicture);
