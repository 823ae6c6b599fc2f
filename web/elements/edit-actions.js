/**
 * What can be made of the picture: one form for each action. Fires `run` (detail: a `Wish`), `action` when another is
 * chosen, `sides` when other numbers of pixels are to be added, and `subject` for the mask of what the picture shows.
 */

import { h, say, uniqueId } from "../dom.js";
import { NO_SIDES } from "../editing/viewport.js";
import { complain, field, numberIn } from "../field.js";
import { icon } from "../icons.js";
import { library } from "../library.js";
import { errorWords, number, t } from "../words/words.js";
import { MOST_PX } from "./edge-handles.js";

/**
 * @typedef {"erase" | "inpaint" | "outpaint" | "upscale" | "remove_background"} Action
 * @typedef {import("../editing/viewport.js").Sides} Sides
 *
 * @typedef {object} Wish
 * @property {string} task
 * @property {Record<string, unknown>} params - without picture and mask.
 * @property {Sides} [sides] - what is added to the picture.
 * @property {boolean} [withMask] - whether the mask goes along.
 */

/** How much is added on every side by one press, as a share of that side. */
const AROUND_SHARE = 0.25;
const STEP_PX = 8;
/** Shown over a picture, a preview is seen large. */
const PREVIEW_PX = 512;
const ACTIONS = /** @type {const} */ (["erase", "inpaint", "outpaint", "upscale", "remove_background"]);
/** @type {Readonly<Record<Action, any>>} */
const DRAWINGS = Object.freeze({ erase: "eraser", inpaint: "brush", outpaint: "frame", upscale: "upscale", remove_background: "cutout" });
/** Ways to erase that need no file. */
const WEIGHTLESS = ["patchmatch", "cv2"];
/** Name of each model as `/v1/models` has it -> as `upscale` takes it. */
const UPSCALERS = Object.freeze({
  compact: "compact",
  "realesrgan-x4plus": "x4plus",
  "realesrgan-x4plus-anime": "x4plus-anime",
  "realesr-general-x4v3": "general",
});
const SIDES = /** @type {const} */ (["left", "top", "right", "bottom"]);
const NEEDS_MASK = new Set(["erase", "inpaint"]);

export class EditActions extends HTMLElement {
  #leaving = new AbortController();
  /** @type {Action} */
  #action = "erase";
  /** @type {Map<Action, HTMLFormElement>} */
  #forms = new Map();
  /** @type {Map<string, any>} by action and parameter. */
  #inputs = new Map();
  #choice = h("div", { className: "edit-actions", role: "radiogroup", "aria-label": t("edit.actions") });
  #mask = { isEmpty: true, isWorking: false };
  #picture = { width: 0, height: 0 };

  connectedCallback() {
    this.#leaving = new AbortController();
    const { signal } = this.#leaving;
    if (this.#forms.size === 0) this.#build();
    library.addEventListener("change", () => this.#offer(), { signal });
    library.follow(signal);
    this.#offer();
  }

  disconnectedCallback() {
    this.#leaving.abort();
  }

  get action() {
    return this.#action;
  }

  /** @returns {Sides} what is to be added. */
  get sides() {
    const px = (/** @type {string} */ side) => Math.max(0, Math.round(numberIn(this.#input("outpaint", side)) ?? 0));
    return { left: px("left"), top: px("top"), right: px("right"), bottom: px("bottom") };
  }

  set sides(sides) {
    for (const side of SIDES) this.#input("outpaint", side).value = String(sides[side]);
    this.#enable();
  }

  /** @param {import("../editing/viewport.js").Size} picture - nothing is to be added to it yet. */
  set picture({ width, height }) {
    this.#picture = { width, height };
    this.sides = NO_SIDES;
  }

  /** @param {{isEmpty: boolean, isWorking: boolean}} mask - whether nothing is masked, and whether a job is at work. */
  show(mask) {
    this.#mask = mask;
    this.#enable();
  }

  /** @param {Action} action */
  choose(action) {
    this.#action = action;
    for (const [each, form] of this.#forms) form.hidden = each !== action;
    const radio = /** @type {HTMLInputElement} */ (this.#choice.querySelector(`[value="${action}"]`));
    radio.checked = true;
    this.dispatchEvent(new Event("action"));
  }

  /** Do what the chosen form says, if it can be done. */
  run() {
    const form = this.#forms.get(this.#action);
    if (form?.querySelector(".primary:disabled") === null) form.requestSubmit();
  }

  /** @param {unknown} error - of the server, about a parameter: shown at its field if there is one. */
  complain(error) {
    const { field: path } = /** @type {{field?: string}} */ (error ?? {});
    const name = /\.params\.(\w+)/.exec(path ?? "")?.[1];
    const form = this.#forms.get(this.#action);
    if (name === undefined || form === undefined) return false;
    const control = complain(form, name, errorWords(error));
    control?.focus();
    return control !== null;
  }

  #build() {
    const group = uniqueId("action");
    for (const action of ACTIONS) {
      const radio = h("input", { type: "radio", name: group, value: action, checked: action === this.#action });
      radio.addEventListener("change", () => this.choose(action));
      this.#choice.append(h("label", { className: "edit-action" }, radio, icon(DRAWINGS[action]), h("span", {}, t(`edit.do.${action}`))));
    }
    const parts = {
      erase: [this.#select("erase", "model", t("edit.model")), this.#number("erase", "grow_px", t("edit.grow_px"), { min: 0, max: 256, value: 4 })],
      inpaint: [this.#prompt("inpaint"), this.#range("inpaint", "strength", t("edit.strength"), 1), this.#more("inpaint")],
      outpaint: [this.#sidesField(), this.#prompt("outpaint"), this.#more("outpaint")],
      upscale: [this.#select("upscale", "factor", t("edit.factor")), this.#select("upscale", "model", t("edit.model"))],
      remove_background: [this.#subject()],
    };
    for (const action of ACTIONS) {
      const hint = h("p", { className: "field-help", "data-hint": "", role: "status" });
      const button = h("button", { type: "submit", className: "primary" }, icon(DRAWINGS[action]), t(`edit.do.${action}`));
      const form = h("form", { className: "edit-form", hidden: action !== this.#action }, h("p", { className: "soft" }, t(`edit.about.${action}`)), ...parts[action], button, hint);
      form.addEventListener("submit", (/** @type {SubmitEvent} */ event) => {
        event.preventDefault();
        for (const wrong of form.querySelectorAll("[data-field]")) complain(form, /** @type {HTMLElement} */ (wrong).dataset.field ?? "", "");
        this.dispatchEvent(new CustomEvent("run", { detail: this.#wish(action) }));
      });
      this.#forms.set(action, form);
    }
    const factor = this.#input("upscale", "factor");
    factor.replaceChildren(...[2, 3, 4].map((times) => h("option", { value: String(times) }, t("edit.times", { times }))));
    this.replaceChildren(this.#choice, ...this.#forms.values());
  }

  /**
   * @param {Action} action
   * @returns {Wish}
   */
  #wish(action) {
    const value = (/** @type {string} */ name) => this.#input(action, name).value;
    const model = action === "remove_background" ? "" : value("model");
    /** @type {Record<string, unknown>} */
    const params = model === "" ? {} : { model };
    if (action === "erase") return { task: action, params: { ...params, grow_px: numberIn(this.#input(action, "grow_px")) ?? 4 }, withMask: true };
    if (action === "upscale") return { task: action, params: { ...params, factor: Number(value("factor")) } };
    if (action === "remove_background") return { task: action, params };
    params.prompt = value("prompt");
    params.preview_px = PREVIEW_PX;
    for (const name of ["negative_prompt", "steps", "seed"]) {
      const input = this.#input(action, name);
      if (input.value !== "") params[name] = input.type === "number" ? input.valueAsNumber : input.value;
    }
    if (action === "inpaint") return { task: action, params: { ...params, strength: Number(value("strength")) }, withMask: true };
    return { task: action, params: { ...params, ...this.sides }, sides: this.sides };
  }

  /** Offer the models that are there. */
  #offer() {
    const erasers = [...WEIGHTLESS, ...library.usable("eraser").map((each) => each.name)];
    _offer(this.#input("erase", "model"), t("edit.automatic"), erasers.map((name) => [name, name]));
    for (const action of /** @type {const} */ (["inpaint", "outpaint"])) {
      const usual = library.checkpoint(null)?.name;
      const names = library.usable("checkpoint", action).map((each) => each.name);
      _offer(this.#input(action, "model"), usual === undefined ? t("edit.automatic") : t("edit.usual", { name: usual }), names.map((name) => [name, name]));
    }
    const upscalers = library.models.filter((each) => each.is_present && each.name in UPSCALERS);
    const names = upscalers.map((each) => [UPSCALERS[/** @type {keyof typeof UPSCALERS} */ (each.name)], each.title]);
    _offer(this.#input("upscale", "model"), t("edit.automatic"), /** @type {[string, string][]} */ (names));
  }

  #enable() {
    const added = Object.values(this.sides).some((px) => px > 0);
    for (const [action, form] of this.#forms) {
      const lacks = NEEDS_MASK.has(action) && this.#mask.isEmpty ? t("edit.lacks.mask") : action === "outpaint" && !added ? t("edit.lacks.sides") : "";
      /** @type {HTMLButtonElement} */ (form.querySelector(".primary")).disabled = this.#mask.isWorking || lacks !== "";
      say(/** @type {Element} */ (form.querySelector("[data-hint]")), lacks);
    }
  }

  /**
   * @param {Action} action
   * @param {string} name
   * @returns {any}
   */
  #input(action, name) {
    return this.#inputs.get(`${action}.${name}`);
  }

  /**
   * @param {Action} action
   * @param {string} name
   * @param {string} label
   * @param {any} control
   * @param {any} [more]
   */
  #field(action, name, label, control, more) {
    this.#inputs.set(`${action}.${name}`, control);
    return field(name, label, control, more);
  }

  /** @param {Action} action @param {string} name @param {string} label */
  #select(action, name, label) {
    return this.#field(action, name, label, h("select"));
  }

  /**
   * @param {Action} action
   * @param {string} name
   * @param {string} label
   * @param {{min: number, max: number, value?: number}} range
   */
  #number(action, name, label, { min, max, value }) {
    const input = h("input", { type: "number", min: String(min), max: String(max), step: "1", value: value === undefined ? "" : String(value) });
    return this.#field(action, name, label, input);
  }

  /** @param {Action} action @param {string} name @param {string} label @param {number} value */
  #range(action, name, label, value) {
    const input = h("input", { type: "range", min: "0", max: "1", step: "0.05", value: String(value) });
    const now = h("output", { className: "numbers" });
    const tell = () => say(now, number(Number(input.value), { style: "percent" }));
    input.addEventListener("input", tell);
    tell();
    return this.#field(action, name, label, input, { help: t("edit.strength.help"), beside: now });
  }

  /** @param {Action} action */
  #prompt(action) {
    const input = h("textarea", { rows: 2, placeholder: t(`edit.prompt.${action}`), spellcheck: true });
    input.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      this.run();
    });
    return this.#field(action, "prompt", t("edit.prompt"), input);
  }

  /** @param {Action} action */
  #more(action) {
    return h(
      "details",
      {},
      h("summary", {}, t("edit.more")),
      h(
        "div",
        { className: "edit-form" },
        this.#select(action, "model", t("edit.model")),
        this.#field(action, "negative_prompt", t("edit.negative"), h("textarea", { rows: 2 })),
        h(
          "div",
          { className: "edit-pair" },
          this.#number(action, "steps", t("edit.steps"), { min: 1, max: 500 }),
          this.#number(action, "seed", t("edit.seed"), { min: 0, max: Number.MAX_SAFE_INTEGER }),
        ),
      ),
    );
  }

  /** @param {Sides} [sides] - by default as typed. */
  #add(sides) {
    if (sides !== undefined) this.sides = sides;
    this.#enable();
    this.dispatchEvent(new Event("sides"));
  }

  #sidesField() {
    const inputs = SIDES.map((side) => {
      const part = this.#number("outpaint", side, t(`edit.side.${side}`), { min: 0, max: MOST_PX, value: 0 });
      this.#input("outpaint", side).step = String(STEP_PX);
      this.#input("outpaint", side).addEventListener("input", () => this.#add());
      return part;
    });
    const part = (/** @type {number} */ side) => Math.max(STEP_PX, Math.round((side * AROUND_SHARE) / STEP_PX) * STEP_PX);
    const around = () => {
      const { left, top, right, bottom } = this.sides;
      const across = part(this.#picture.width);
      const down = part(this.#picture.height);
      this.#add({ left: left + across, top: top + down, right: right + across, bottom: bottom + down });
    };
    const quarter = h("button", { type: "button", className: "small", onclick: around }, t("edit.around"));
    const none = h("button", { type: "button", className: "small quiet", onclick: () => this.#add(NO_SIDES) }, t("edit.around.none"));
    return h("div", { className: "edit-form" }, h("div", { className: "edit-pair" }, ...inputs), h("div", { className: "row" }, quarter, none));
  }

  #subject() {
    return h(
      "button",
      { type: "button", onclick: () => this.dispatchEvent(new Event("subject")) },
      icon("object"),
      t("edit.subject"),
    );
  }
}

/**
 * @param {HTMLSelectElement} select - keeps what is chosen, if it is still there.
 * @param {string} first - words for what the server takes by itself.
 * @param {readonly (readonly [string, string])[]} others - value and words of each.
 */
function _offer(select, first, others) {
  const chosen = select.value;
  select.replaceChildren(h("option", { value: "" }, first), ...others.map(([value, words]) => h("option", { value }, words)));
  select.value = others.some(([value]) => value === chosen) ? chosen : "";
}

customElements.define("sl-edit-actions", EditActions);
