/**
 * The tools of the view edit, and what can be done with mask and view. Fires `tool` (detail: its name), `brush` (detail:
 * px) and `command` (detail: its name); `pointed` after a click.
 */

import { h, say, uniqueId } from "../dom.js";
import { icon } from "../icons.js";
import { number, t } from "../words/words.js";

const TOOLS = /** @type {const} */ (["brush", "eraser", "rectangle", "object", "text", "hand"]);
const KEYS = Object.freeze({ brush: "B", eraser: "E", rectangle: "R", object: "O", text: "T", hand: "H" });
/** Name of each command -> its drawing. */
const MASK_COMMANDS = Object.freeze({ undo: "undo", redo: "redo", invert: "invert", shrink: "shrink", grow: "grow", clear: "close" });
const VIEW_COMMANDS = Object.freeze({ farther: "minus", closer: "add", fit: "fit" });
/** The slider goes by powers: as fine for small brushes as for large ones. */
const MOST_BRUSH_PX = 1000;

/** @typedef {import("../editing/mask-tools.js").Tool} Tool */

export class EditToolbar extends HTMLElement {
  /** @type {Map<string, HTMLButtonElement>} */
  #buttons = new Map();
  #size = h("input", { type: "range", id: uniqueId("brush"), min: "0", max: "1", step: "0.005" });
  #sizeNow = h("output", { className: "numbers" });
  #zoom = h("button", { type: "button", className: "quiet small numbers edit-zoom" });

  connectedCallback() {
    if (this.#buttons.size > 0) return;
    // Whoever points goes on in the picture, where the space bar moves it; whoever uses the keyboard stays here.
    this.addEventListener("click", ({ detail: clicks }) => clicks > 0 && this.#tell("pointed", null));
    this.#size.addEventListener("input", () => this.#tell("brush", Math.round(MOST_BRUSH_PX ** Number(this.#size.value))));
    this.#zoom.title = t("edit.actual");
    this.#zoom.addEventListener("click", () => this.#tell("command", "actual"));
    this.replaceChildren(
      h("div", { role: "group", "aria-label": t("edit.tools"), className: "edit-group" }, ...TOOLS.map((tool) => this.#tool(tool))),
      h("div", { className: "edit-group edit-size" }, h("label", { for: this.#size.id }, t("edit.size")), this.#size, this.#sizeNow),
      h("div", { role: "group", "aria-label": t("edit.mask"), className: "edit-group" }, ...this.#commands(MASK_COMMANDS)),
      h("div", { role: "group", "aria-label": t("edit.view"), className: "edit-group edit-view-group" }, ...this.#commands(VIEW_COMMANDS), this.#zoom),
      h("div", { className: "edit-group" }, this.#command("compare", "compare")),
    );
  }

  /**
   * @param {object} state
   * @param {Tool} state.tool
   * @param {number} state.brushPx
   * @param {boolean} state.canUndo
   * @param {boolean} state.canRedo
   * @param {boolean} state.hasMask
   * @param {boolean} state.canCompare
   * @param {boolean} state.isComparing
   */
  show({ tool, brushPx, canUndo, canRedo, hasMask, canCompare, isComparing }) {
    for (const each of TOOLS) this.#button(each).setAttribute("aria-pressed", String(each === tool));
    this.#size.value = String(Math.log(brushPx) / Math.log(MOST_BRUSH_PX));
    const words = t("edit.px", { px: number(brushPx) });
    this.#size.setAttribute("aria-valuetext", words);
    say(this.#sizeNow, words);
    this.#enable("undo", canUndo);
    this.#enable("redo", canRedo);
    for (const name of ["clear", "grow", "shrink"]) this.#enable(name, hasMask);
    this.#enable("compare", canCompare);
    this.#button("compare").setAttribute("aria-pressed", String(isComparing));
  }

  /** @param {number} zoom */
  showZoom(zoom) {
    say(this.#zoom, number(zoom, { style: "percent", maximumFractionDigits: 0 }));
  }

  /** @param {Tool} tool */
  #tool(tool) {
    const button = h("button", { type: "button", className: "icon quiet", "aria-pressed": "false" }, icon(tool));
    _name(button, t(`edit.tool.${tool}`), KEYS[tool]);
    button.addEventListener("click", () => this.#tell("tool", tool));
    this.#buttons.set(tool, button);
    return button;
  }

  /** @param {Readonly<Record<string, any>>} commands */
  #commands(commands) {
    return Object.entries(commands).map(([name, drawing]) => this.#command(name, drawing));
  }

  /**
   * @param {string} name
   * @param {any} drawing
   */
  #command(name, drawing) {
    const button = h("button", { type: "button", className: "icon quiet" }, icon(drawing));
    _name(button, t(`edit.${name}`), t(`edit.${name}.key`));
    button.addEventListener("click", () => this.#tell("command", name));
    this.#buttons.set(name, button);
    return button;
  }

  /** @param {string} name */
  #button(name) {
    return /** @type {HTMLButtonElement} */ (this.#buttons.get(name));
  }

  /**
   * @param {string} name
   * @param {boolean} isEnabled
   */
  #enable(name, isEnabled) {
    this.#button(name).disabled = !isEnabled;
  }

  /**
   * @param {string} type
   * @param {unknown} detail
   */
  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/**
 * @param {HTMLElement} button
 * @param {string} name
 * @param {string} key
 */
function _name(button, name, key) {
  button.setAttribute("aria-label", name);
  button.title = t("edit.with.key", { name, key });
}

customElements.define("sl-edit-toolbar", EditToolbar);
