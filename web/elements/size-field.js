/** The size of the picture: the model's own, a shape with about as many pixels, or numbers. */

import { h, uniqueId } from "../dom.js";
import { field, numberIn, wrongNumber } from "../field.js";
import { icon } from "../icons.js";
import { RANGES } from "../ranges.js";
import { number, t } from "../words/words.js";

/** @typedef {{width: number | null, height: number | null}} Size */

/** Width by height. */
const SHAPES = /** @type {const} */ ([
  [1, 1],
  [4, 3],
  [3, 4],
  [3, 2],
  [2, 3],
  [16, 9],
  [9, 16],
]);
/** Sides are multiples of this, which suits every family; small models get finer ones. */
const MULTIPLE = 64;

/** Fires `change`, which bubbles, when somebody has chosen another size. */
export class SizeField extends HTMLElement {
  /** @type {{width: number, height: number}} */
  #own = { width: 512, height: 512 };
  #isOfPicture = false;
  #width = _side("width");
  #height = _side("height");
  /** @type {HTMLInputElement[]} */
  #choices = [];
  #isBuilt = false;

  connectedCallback() {
    if (this.#isBuilt) return;
    this.#isBuilt = true;
    const name = uniqueId("shape");
    const choice = (/** @type {string} */ value, /** @type {string} */ words, /** @type {string} */ spoken) => {
      const input = h("input", { type: "radio", name, value, "aria-label": spoken, onchange: () => this.#choose(value) });
      this.#choices.push(input);
      return h("label", { className: "chip" }, input, h("span", {}, words));
    };
    const swap = h("button", { type: "button", className: "icon quiet", "aria-label": t("make.size.swap"), title: t("make.size.swap") }, icon("swap"));
    swap.addEventListener("click", () => this.#swap());
    for (const side of [this.#width, this.#height]) side.addEventListener("input", () => this.#mark());
    this.replaceChildren(
      h(
        "fieldset",
        { className: "plain" },
        h("legend", { className: "label" }, t("make.size")),
        h(
          "div",
          { className: "chips" },
          choice("own", t("make.size.own"), t("make.size.own")),
          ...SHAPES.map(([across, down]) => choice(`${across}:${down}`, `${across}:${down}`, t("make.size.shape", { across, down }))),
        ),
        h("div", { className: "size-sides" }, field("width", t("make.width"), this.#width), swap, field("height", t("make.height"), this.#height)),
      ),
    );
    this.#mark();
  }

  /** What a size that is not given comes to. @param {{width: number, height: number}} own */
  set own(own) {
    this.#own = own;
    this.#hint();
  }

  /** Whether it is the start picture's where none is given. @param {boolean} isOfPicture */
  set isOfPicture(isOfPicture) {
    this.#isOfPicture = isOfPicture;
    this.#hint();
  }

  /** @returns {Size} */
  get value() {
    return { width: numberIn(this.#width), height: numberIn(this.#height) };
  }

  set value({ width, height }) {
    this.#width.value = width === null ? "" : String(width);
    this.#height.value = height === null ? "" : String(height);
    this.#mark();
  }

  /** @returns {{name: string, text: string}[]} */
  get problems() {
    return [this.#width, this.#height].map((side) => ({ name: side.name, text: wrongNumber(side) })).filter(({ text }) => text !== "");
  }

  /** @param {string} shape */
  #choose(shape) {
    if (shape === "own") this.value = { width: null, height: null };
    else this.value = shapedLike(shape, this.#own);
    this.dispatchEvent(new Event("change", { bubbles: true }));
  }

  #swap() {
    const { width, height } = this.value;
    this.value = { width: height, height: width };
    this.dispatchEvent(new Event("change", { bubbles: true }));
  }

  /** Show which of the shapes the numbers are. */
  #mark() {
    const { width, height } = this.value;
    for (const each of this.#choices) {
      const size = each.value === "own" ? { width: null, height: null } : shapedLike(each.value, this.#own);
      each.checked = size.width === width && size.height === height;
    }
    // With none of them checked the first is where the Tab key comes to.
  }

  #hint() {
    const { width, height } = this.#own;
    this.#width.placeholder = this.#isOfPicture ? t("make.size.picture") : t("make.own", { value: number(width, { useGrouping: false }) });
    this.#height.placeholder = this.#isOfPicture ? t("make.size.picture") : t("make.own", { value: number(height, { useGrouping: false }) });
    this.#mark();
  }
}

/**
 * @param {string} shape - for example `16:9`.
 * @param {{width: number, height: number}} own - its area is kept.
 * @returns {{width: number, height: number}}
 */
export function shapedLike(shape, own) {
  const [across = 1, down = 1] = shape.split(":").map(Number);
  const area = own.width * own.height;
  const multiple = Math.min(own.width, own.height) < 8 * MULTIPLE ? MULTIPLE / 4 : MULTIPLE;
  const width = Math.sqrt((area * across) / down);
  return { width: _rounded(width, multiple), height: _rounded(area / width, multiple) };
}

/**
 * @param {number} px
 * @param {number} multiple
 * @returns {number}
 */
function _rounded(px, multiple) {
  return Math.max(multiple, Math.round(px / multiple) * multiple);
}

/**
 * @param {"width" | "height"} name
 * @returns {HTMLInputElement}
 */
function _side(name) {
  const [min, max] = RANGES[name] ?? [];
  return h("input", { type: "number", name, min: String(min), max: String(max), step: "1", inputMode: "numeric", autocomplete: "off" });
}

customElements.define("sl-size-field", SizeField);
