/** What a job has made so far, laid over what it will change. */

import { h } from "../dom.js";
import { toScreen } from "../editing/viewport.js";

/**
 * @typedef {import("../editing/rect.js").Rect} Rect
 * @typedef {import("../editing/viewport.js").Size} Size
 * @typedef {import("../editing/viewport.js").Viewport} Viewport
 */

export class JobPreview extends HTMLElement {
  #image = h("img", { alt: "" });
  /** The part it shows, in pixels of the picture. @type {Rect} */
  #part = { x: 0, y: 0, width: 1, height: 1 };

  connectedCallback() {
    this.hidden = true;
    this.replaceChildren(this.#image);
  }

  /**
   * @param {string} url - empty for nothing.
   * @param {Rect} part - what it shows, in pixels of the picture.
   * @param {Size} picture - where it reaches beyond the picture, only that is shown of it.
   * @param {string} changedUrl - of a picture that is white where something may change; empty if it may anywhere.
   */
  show(url, part, picture, changedUrl) {
    this.hidden = url === "";
    if (url === "") {
      this.#image.removeAttribute("src");
      return;
    }
    this.#image.src = url;
    this.#part = part;
    this.#image.style.maskImage = changedUrl === "" ? "" : `url("${changedUrl}")`;
    this.#image.style.clipPath = _hole(part, picture);
  }

  /** @param {Viewport} viewport */
  place(viewport) {
    if (this.hidden) return;
    const { x, y, width, height } = this.#part;
    const start = toScreen(viewport, { x, y });
    this.style.transform = `translate(${start.x}px, ${start.y}px)`;
    this.style.width = `${width * viewport.zoom}px`;
    this.style.height = `${height * viewport.zoom}px`;
  }
}

/**
 * @param {Rect} part
 * @param {Size} picture
 * @returns {string} a clip path that leaves the picture to be seen; empty where the part does not reach beyond it.
 */
function _hole({ x, y, width, height }, picture) {
  if (x >= 0 && y >= 0 && x + width <= picture.width && y + height <= picture.height) return "";
  const left = `${(-x / width) * 100}%`;
  const top = `${(-y / height) * 100}%`;
  const right = `${((picture.width - x) / width) * 100}%`;
  const bottom = `${((picture.height - y) / height) * 100}%`;
  const inner = `${left} ${top}, ${right} ${top}, ${right} ${bottom}, ${left} ${bottom}, ${left} ${top}`;
  return `polygon(evenodd, 0 0, 100% 0, 100% 100%, 0 100%, 0 0, ${inner})`;
}

customElements.define("sl-job-preview", JobPreview);
