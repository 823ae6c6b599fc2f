/** Pictures one by one, as large as the window or in their full size: arrow keys go on and back, Escape closes. */

import { app } from "../app.js";
import { h, say, uniqueId } from "../dom.js";
import { icon } from "../icons.js";
import * as actions from "../job-actions.js";
import { facts } from "../job-facts.js";
import { subject, taskName } from "../job-words.js";
import { address } from "../router.js";
import { t } from "../words/words.js";

/**
 * @typedef {import("../downloads.js").Job} Job
 * @typedef {{job: Job, index: number}} Shown
 */

/** Pictures smaller than this are shown at twice their size: larger would be a blur. */
const SMALL_PX = 640;

export class PictureLightbox extends HTMLElement {
  #leaving = new AbortController();
  /** @type {readonly Shown[]} */
  #pictures = [];
  #at = 0;
  #image = h("img", { decoding: "async" });
  #caption = h("p", { className: "lightbox-caption", id: uniqueId("lightbox"), dir: "auto" });
  #facts = h("p", { className: "soft numbers" });
  #place = h("p", { className: "numbers", role: "status" });
  #buttons = h("div", { className: "row lightbox-buttons" });
  #frame = h("div", { className: "lightbox-frame" }, this.#image);
  #actual = h("button", { type: "button", className: "small", "aria-pressed": "false" }, t("make.box.actual"));
  #dialog = h("dialog", { className: "lightbox", tabIndex: -1 });
  #back = _arrow("previous", t("make.box.previous"), () => this.#go(this.#at - 1));
  #on = _arrow("next", t("make.box.next"), () => this.#go(this.#at + 1));

  connectedCallback() {
    this.#leaving = new AbortController();
    const { signal } = this.#leaving;
    const close = h("button", { type: "button", className: "icon quiet lightbox-close", "aria-label": t("shell.close"), title: t("shell.close") }, icon("close"));
    close.addEventListener("click", () => this.#dialog.close(), { signal });
    this.#dialog.setAttribute("aria-labelledby", this.#caption.id);
    this.#dialog.replaceChildren(
      h("div", { className: "lightbox-stage" }, this.#back, this.#frame, this.#on),
      h("div", { className: "lightbox-foot" }, h("div", { className: "lightbox-words" }, this.#caption, this.#facts), this.#place, this.#buttons),
      close,
    );
    this.#dialog.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#press(event), { signal });
    this.#dialog.addEventListener("click", (/** @type {Event} */ event) => event.target === this.#dialog && this.#dialog.close(), { signal });
    this.#actual.addEventListener("click", () => this.#enlarge(!this.#isActual), { signal });
    this.#image.addEventListener("click", () => this.#enlarge(!this.#isActual), { signal });
    this.#image.addEventListener("load", () => this.#fit(), { signal });
    app.router.addEventListener("change", () => this.#dialog.open && this.#dialog.close(), { signal });
    this.replaceChildren(this.#dialog);
  }

  disconnectedCallback() {
    this.#leaving.abort();
  }

  /**
   * @param {readonly Shown[]} pictures - what the arrow keys go through.
   * @param {number} at - of the first that is shown.
   */
  open(pictures, at) {
    this.#pictures = pictures;
    if (!this.#dialog.open) {
      this.#image.removeAttribute("src");
      this.#dialog.showModal();
    }
    // Not one of its buttons, which the first arrow key might take away.
    this.#dialog.focus();
    this.#go(at);
  }

  /** @param {number} at */
  #go(at) {
    const shown = this.#pictures[at];
    if (shown === undefined) return;
    this.#at = at;
    const { job, index } = shown;
    const title = subject(job) || taskName(job.task);
    say(this.#caption, title);
    say(this.#facts, facts(job, index));
    say(this.#place, this.#pictures.length > 1 ? t("make.box.place", { number: at + 1, count: this.#pictures.length }) : "");
    this.#image.alt = title;
    const isAlone = this.#pictures.length < 2;
    for (const arrow of [this.#back, this.#on]) arrow.style.visibility = isAlone ? "hidden" : "";
    const isFirst = at === 0;
    const isLast = at === this.#pictures.length - 1;
    const focused = document.activeElement;
    const isLosing = (isFirst && focused === this.#back) || (isLast && focused === this.#on) || this.#buttons.contains(focused);
    if (isLosing) this.#dialog.focus();
    this.#back.disabled = isFirst;
    this.#on.disabled = isLast;
    this.#buttons.replaceChildren(this.#actual, ..._buttons(shown, () => this.#dialog.close()));
    this.#enlarge(false);
    void this.#load(shown);
  }

  /** @param {Shown} shown */
  async #load(shown) {
    const isWanted = () => this.#dialog.open && this.#pictures[this.#at] === shown;
    const next = new Image();
    try {
      next.src = await app.pictures.url(shown.job.id, shown.index);
      // The one before stays until this one can be painted.
      await next.decode();
      if (isWanted()) this.#image.src = next.src;
    } catch {
      if (!isWanted()) return;
      this.#image.removeAttribute("src");
      say(this.#facts, t("make.box.gone"));
    }
  }

  #fit() {
    const { naturalWidth, naturalHeight } = this.#image;
    const factor = !this.#isActual && Math.max(naturalWidth, naturalHeight) < SMALL_PX ? 2 : 1;
    this.#image.style.inlineSize = `${naturalWidth * factor}px`;
    this.#image.style.aspectRatio = `${naturalWidth} / ${naturalHeight}`;
  }

  get #isActual() {
    return this.#actual.getAttribute("aria-pressed") === "true";
  }

  /** @param {boolean} isActual - a pixel of the picture for each of the screen, to be scrolled; otherwise all of it. */
  #enlarge(isActual) {
    this.#actual.setAttribute("aria-pressed", String(isActual));
    this.#frame.classList.toggle("actual", isActual);
    // The arrow keys scroll then.
    if (isActual) this.#frame.tabIndex = 0;
    else this.#frame.removeAttribute("tabindex");
    this.#fit();
    if (!isActual) return;
    this.#frame.scrollTo((this.#frame.scrollWidth - this.#frame.clientWidth) / 2, (this.#frame.scrollHeight - this.#frame.clientHeight) / 2);
    this.#frame.focus();
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    if (event.key.toLowerCase() === "z" && !event.ctrlKey && !event.metaKey) this.#enlarge(!this.#isActual);
    if (document.activeElement === this.#frame) return;
    const last = this.#pictures.length - 1;
    const to = { ArrowLeft: this.#at - 1, ArrowRight: this.#at + 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.#go(Math.min(last, Math.max(0, to)));
  }
}

/**
 * @param {Shown} shown
 * @param {() => void} close
 */
function _buttons({ job, index }, close) {
  const leave = (/** @type {() => unknown} */ act) => () => {
    close();
    void act();
  };
  return [
    _named("upscale", t("make.card.upscale", { factor: actions.UPSCALE_FACTOR }), leave(() => actions.upscale(job, index)), t("make.card.upscale.short")),
    _named("picture", t("make.card.start"), leave(() => actions.startFrom(job, index)), t("make.card.start.short")),
    _named("edit", t("make.card.edit"), leave(() => actions.edit(job, index)), t("make.card.edit.short")),
    _named("download", t("make.card.download"), () => actions.save(job, index), t("make.card.download.short")),
    h("a", { className: "button icon quiet small", href: address("history", { job: job.id }), "aria-label": t("make.card.details"), title: t("make.card.details") }, icon("details")),
  ];
}

/**
 * @param {Parameters<typeof icon>[0]} drawing
 * @param {string} name
 * @param {() => unknown} act
 * @param {string} words
 */
function _named(drawing, name, act, words) {
  return h("button", { type: "button", className: "small", "aria-label": name, title: name, onclick: () => void act() }, icon(drawing), h("span", {}, words));
}

/**
 * @param {"previous" | "next"} drawing
 * @param {string} name
 * @param {() => void} act
 */
function _arrow(drawing, name, act) {
  return h("button", { type: "button", className: "icon quiet", "aria-label": name, title: name, onclick: act }, icon(drawing));
}

customElements.define("sl-picture-lightbox", PictureLightbox);

/**
 * Open the one lightbox of the page.
 *
 * @param {readonly Shown[]} pictures
 * @param {number} at
 */
export function openLightbox(pictures, at) {
  let box = /** @type {PictureLightbox | null} */ (document.querySelector("sl-picture-lightbox"));
  if (box === null) {
    box = /** @type {PictureLightbox} */ (h("sl-picture-lightbox"));
    document.body.append(box);
  }
  box.open(pictures, at);
}
