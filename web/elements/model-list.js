/** The server's models by kind: first those that are there or on their way, then those it could have. */

import "./model-row.js";

import { h, say } from "../dom.js";
import { hasWords, t } from "../words/words.js";

/**
 * @typedef {Awaited<ReturnType<import("../client/index.js").Api["model"]>>} Model
 * @typedef {import("../state.js").ModelState} ModelState
 * @typedef {import("./model-row.js").ModelRow} ModelRow
 * @typedef {Awaited<ReturnType<import("../client/index.js").Api["server"]>>} ServerInfo
 */

const KINDS = [
  "checkpoint", "lora", "vae", "controlnet", "brushnet", "ip_adapter", "image_encoder", "embedding", "eraser", "upscaler",
  "preview_decoder", "tool",
];

export class ModelList extends HTMLElement {
  /** @type {Map<string, ModelRow>} by id. */
  #rows = new Map();
  /** @type {Map<string, {section: HTMLElement, title: HTMLElement, list: HTMLElement}>} */
  #groups = new Map();
  /** @type {readonly Model[]} */
  #models = [];
  /** @type {ReadonlyMap<string, ModelState>} */
  #progress = new Map();
  /** @type {ReadonlyMap<string, number>} bytes of what is in memory, by id. */
  #memory = new Map();
  #device = "";
  #maySwitch = false;
  #words = "";
  #here = h("div", { className: "model-groups" });
  #elsewhere = h("div", { className: "model-groups" });
  #elsewhereTitle = h("summary");
  #others = h("details", { className: "models-elsewhere", hidden: true }, this.#elsewhereTitle, h("p", { className: "soft" }, t("models.elsewhereHelp")), this.#elsewhere);
  #none = h("p", { className: "soft", role: "status" });

  connectedCallback() {
    if (this.childElementCount > 0) return;
    this.append(this.#none, this.#here, this.#others);
    say(this.#none, t("history.loading"));
  }

  /** @param {readonly Model[]} models */
  show(models) {
    this.#models = models;
    this.#draw();
  }

  /** @param {string} words - only models whose name, title or family has them are shown. */
  find(words) {
    this.#words = words.trim().toLowerCase();
    this.#draw();
  }

  /**
   * @param {ServerInfo} server - with what each model takes.
   * @param {boolean} maySwitch - whether the reader may load and unload.
   */
  serve(server, maySwitch) {
    this.#memory = new Map(server.loaded.map((model) => [model.id, model.size_bytes + model.home_bytes]));
    this.#maySwitch = maySwitch;
    this.#device = server.engine.device;
    this.#draw();
  }

  /** @param {ReadonlyMap<string, ModelState>} models - what the server's events say. */
  progress(models) {
    const before = this.#progress;
    this.#progress = models;
    for (const [id, state] of models) if (before.get(id) !== state) this.#rows.get(id)?.progress(state);
  }

  #draw() {
    const wanted = this.#models.filter((model) => this.#words === "" || _text(model).includes(this.#words));
    const here = wanted.filter(_isHere);
    const elsewhere = wanted.filter((model) => !_isHere(model));
    this.#fill(this.#here, "here", here);
    this.#fill(this.#elsewhere, "elsewhere", elsewhere);
    this.#others.hidden = elsewhere.length === 0;
    if (this.#words !== "" && here.length === 0) this.#others.open = true;
    say(this.#elsewhereTitle, t("models.elsewhere", { count: elsewhere.length }));
    this.#none.hidden = wanted.length > 0;
    say(this.#none, t(this.#models.length === 0 ? "models.none" : "models.noneLikeThat"));
    const known = new Set(this.#models.map(_id));
    for (const id of this.#rows.keys()) if (!known.has(id)) this.#rows.delete(id);
  }

  /**
   * @param {HTMLElement} parent
   * @param {string} place
   * @param {readonly Model[]} models
   */
  #fill(parent, place, models) {
    for (const kind of KINDS) {
      const own = models.filter((model) => (model.kind ?? "tool") === kind).sort(_byName);
      const name = `${place}/${kind}`;
      if (own.length === 0) {
        this.#groups.get(name)?.section.remove();
        continue;
      }
      const group = this.#groups.get(name) ?? this.#group(name, kind);
      parent.append(group.section);
      say(group.title, t(`models.kind.${kind}`));
      const rows = own.map((model) => this.#row(model));
      const isSame = rows.length === group.list.children.length && rows.every((row, at) => group.list.children[at] === row);
      if (!isSame) group.list.replaceChildren(...rows);
    }
  }

  /**
   * @param {string} name
   * @param {string} kind
   */
  #group(name, kind) {
    const id = `models-${name.replace("/", "-")}`;
    const title = h("h3", { id }, t(hasWords(`models.kind.${kind}`) ? `models.kind.${kind}` : kind));
    const list = h("ul", { className: "model-rows", "aria-labelledby": id });
    const group = { section: h("section", {}, title, list), title, list };
    this.#groups.set(name, group);
    return group;
  }

  /**
   * @param {Model} model
   * @returns {Element} its line.
   */
  #row(model) {
    const id = _id(model);
    let row = this.#rows.get(id);
    if (row === undefined) {
      row = /** @type {ModelRow} */ (h("sl-model-row"));
      h("li", {}, row);
      this.#rows.set(id, row);
    }
    row.show(model, { memoryBytes: this.#memory.get(id), device: this.#device, maySwitch: this.#maySwitch }, this.#progress.get(id));
    return /** @type {Element} */ (row.parentElement);
  }
}

/** @param {Model} model */
function _id(model) {
  return model.id ?? model.name;
}

/** @param {Model} model */
function _isHere(model) {
  return model.is_present || model.download != null;
}

/**
 * @param {Model} model
 * @returns {string}
 */
function _text(model) {
  return [model.name, model.title, model.family ?? "", model.kind ?? ""].join(" ").toLowerCase();
}

/**
 * What is used comes first.
 *
 * @param {Model} one
 * @param {Model} other
 */
function _byName(one, other) {
  const use = Number(other.is_default) - Number(one.is_default) || Number(other.is_loaded) - Number(one.is_loaded);
  return use || one.name.localeCompare(other.name);
}

customElements.define("sl-model-list", ModelList);
