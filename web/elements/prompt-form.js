/** What to make: the prompt and a few choices, the rest folded away. It is remembered, and submitted with Ctrl+Enter. */

import { app } from "../app.js";
import { SafelightError } from "../client/index.js";
import { h, say } from "../dom.js";
import { complain, field, numberIn, wrongNumber } from "../field.js";
import { library } from "../library.js";
import { NOISE_SCHEDULES, PERFORMANCES, RANGES, SCHEDULERS } from "../ranges.js";
import { BLANK, requestOf, wishFromStorage } from "../wish.js";
import { errorWords, number, t } from "../words/words.js";
import "./lora-list.js";
import "./seed-field.js";
import "./size-field.js";
import "./start-picture.js";
import "./style-picker.js";

/**
 * @typedef {import("../wish.js").Wish} Wish
 * @typedef {import("../client/index.js").JobRequest} JobRequest
 */

const SAVED = "safelight.make";
/** Numbers that are the model's own where none is written. */
const NUMBERS = /** @type {const} */ (["steps", "guidance_scale"]);
/** Choices among words. */
const CHOICES = /** @type {const} */ (["model", "preset", "performance", "scheduler", "noise_schedule", "previews", "priority"]);

/** Fires `made`, whose `detail` is the id of the job that the server has accepted. */
export class PromptForm extends HTMLElement {
  #leaving = new AbortController();
  #sending = new AbortController();
  #isSending = false;
  #isFilling = false;
  /** @type {Wish["rest"]} */
  #rest = {};

  #prompt = h("textarea", { name: "prompt", rows: 4, maxLength: 20_000, placeholder: t("make.prompt.example") });
  #negative = h("textarea", { name: "negative_prompt", rows: 2, maxLength: 20_000 });
  #images = _number("images", "1");
  #steps = _number("steps", "1");
  #guidance = _number("guidance_scale", "any");
  #model = h("select", { name: "model" });
  #preset = h("select", { name: "preset" }, h("option", { value: "" }, t("make.none")));
  #performance = h("select", { name: "performance" }, h("option", { value: "" }, t("make.none")), ..._worded("performance", PERFORMANCES));
  #scheduler = h("select", { name: "scheduler" }, ..._named(SCHEDULERS));
  #schedule = h("select", { name: "noise_schedule" }, ..._named(NOISE_SCHEDULES));
  #previews = h("select", { name: "previews" }, ..._worded("previews", ["latest", "all", "none"]));
  #priority = h("select", { name: "priority" }, ..._worded("priority", ["high", "normal", "low"]));
  #metadata = h("input", { type: "checkbox", name: "metadata" });
  #picture = /** @type {import("./start-picture.js").StartPicture} */ (h("sl-start-picture"));
  #size = /** @type {import("./size-field.js").SizeField} */ (h("sl-size-field"));
  #seed = /** @type {import("./seed-field.js").SeedField} */ (h("sl-seed-field"));
  #styles = /** @type {import("./style-picker.js").StylePicker} */ (h("sl-style-picker"));
  #loras = /** @type {import("./lora-list.js").LoraList} */ (h("sl-lora-list"));
  #others = h("p", { className: "soft", hidden: true });
  #standing = h("p", { className: "form-standing", role: "status" });
  #go = h("button", { className: "primary" });
  #stop = h("button", { type: "button", className: "quiet", hidden: true }, t("make.dont"));
  #form = h("form", { noValidate: true, "aria-label": t("make.form") });

  connectedCallback() {
    this.#leaving = new AbortController();
    const { signal } = this.#leaving;
    this.#build();
    this.#form.addEventListener("submit", (/** @type {Event} */ event) => (event.preventDefault(), void this.submit()), { signal });
    this.#form.addEventListener("input", (/** @type {Event} */ event) => this.#changed(event), { signal });
    this.#form.addEventListener("change", (/** @type {Event} */ event) => this.#changed(event), { signal });
    this.#stop.addEventListener("click", () => this.#sending.abort(), { signal });
    library.addEventListener("change", () => this.#offer(), { signal });
    this.#picture.addEventListener("change", () => this.#offer(), { signal });
    this.wish = _remembered();
    this.#offer();
  }

  disconnectedCallback() {
    this.#leaving.abort();
    this.#sending.abort();
  }

  /** What stands in the form. @returns {Wish} */
  get wish() {
    return {
      prompt: this.#prompt.value,
      negative_prompt: this.#negative.value,
      ...this.#picture.value,
      images: numberIn(this.#images) ?? 1,
      model: this.#model.value,
      ...this.#size.value,
      steps: numberIn(this.#steps),
      guidance_scale: numberIn(this.#guidance),
      scheduler: this.#scheduler.value,
      noise_schedule: this.#schedule.value,
      preset: this.#preset.value,
      performance: this.#performance.value,
      seed: this.#seed.value,
      loras: this.#loras.value,
      styles: this.#styles.value,
      previews: this.#previews.value,
      priority: this.#priority.value,
      metadata: this.#metadata.checked ? "a1111" : "none",
      rest: this.#rest,
    };
  }

  set wish(wish) {
    this.#isFilling = true;
    this.#prompt.value = wish.prompt;
    this.#negative.value = wish.negative_prompt;
    this.#picture.value = wish;
    this.#images.value = String(wish.images);
    for (const name of NUMBERS) this.#numberOf(name).value = wish[name] === null ? "" : String(wish[name]);
    for (const name of CHOICES) _choose(this.#form.elements.namedItem(name), wish[name]);
    this.#size.value = wish;
    this.#seed.value = wish.seed;
    this.#loras.value = [...wish.loras];
    this.#styles.value = wish.styles;
    this.#metadata.checked = wish.metadata !== "none";
    this.#rest = wish.rest;
    this.#isFilling = false;
    for (const name of Object.keys(BLANK)) complain(this.#form, name, "");
    this.#show();
    this.#save();
  }

  /**
   * Start from a picture.
   *
   * @param {File | string} picture - a file, or an output of a job as `job:ID/N`.
   */
  startFrom(picture) {
    if (picture instanceof File) this.#picture.take(picture);
    else this.#picture.value = { ...this.#picture.value, image: picture };
  }

  focusPrompt() {
    this.#prompt.focus();
    this.#prompt.select();
  }

  /** Have it made, if nothing speaks against it. */
  async submit() {
    if (this.#isSending || !this.#isRight()) return;
    this.#isSending = true;
    this.#sending = new AbortController();
    const { signal } = this.#sending;
    this.#showSending();
    try {
      await _unless(signal, this.#picture.settled);
      const job = await app.client.submit(/** @type {JobRequest} */ (requestOf(this.wish)), { subscribe: false, signal });
      app.store.add(job.snapshot);
      this.dispatchEvent(new CustomEvent("made", { detail: job.id }));
    } catch (error) {
      if (!signal.aborted) this.#refused(error);
    } finally {
      this.#isSending = false;
      this.#showSending();
    }
  }

  #build() {
    this.#form.replaceChildren(
      field("prompt", t("make.prompt"), this.#prompt),
      field("negative_prompt", t("make.negative"), this.#negative),
      this.#picture,
      h("div", { className: "form-pair" }, field("model", t("make.model"), this.#model), field("images", t("make.images"), this.#images)),
      this.#size,
      h(
        "div",
        { className: "folds" },
        this.#styles,
        this.#loras,
        h(
          "details",
          { className: "fold" },
          h("summary", {}, t("make.sampling")),
          h(
            "div",
            { className: "fold-body" },
            h("div", { className: "form-pair even" }, field("preset", t("make.preset"), this.#preset), field("performance", t("make.performance"), this.#performance)),
            h("div", { className: "form-pair even" }, field("steps", t("make.steps"), this.#steps), field("guidance_scale", t("make.guidance"), this.#guidance)),
            this.#seed,
            h("div", { className: "form-pair even" }, field("scheduler", t("make.scheduler"), this.#scheduler), field("noise_schedule", t("make.schedule"), this.#schedule)),
          ),
        ),
        h(
          "details",
          { className: "fold" },
          h("summary", {}, t("make.delivery")),
          h(
            "div",
            { className: "fold-body" },
            h("div", { className: "form-pair even" }, field("previews", t("make.previews"), this.#previews), field("priority", t("make.priority"), this.#priority)),
            h("label", { className: "check" }, this.#metadata, t("make.metadata")),
          ),
        ),
      ),
      this.#others,
      h(
        "div",
        { className: "form-foot" },
        this.#standing,
        h(
          "div",
          { className: "row" },
          this.#go,
          this.#stop,
          h("span", { className: "soft keys" }, h("kbd", {}, "Ctrl"), " ", h("kbd", {}, "Enter")),
          h("button", { type: "button", className: "quiet small form-reset", onclick: () => this.#reset() }, t("make.reset")),
        ),
      ),
    );
    this.replaceChildren(this.#form);
    this.#showSending();
  }

  /** @param {Event} event */
  #changed(event) {
    if (this.#isFilling) return;
    const place = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest("[data-field]"));
    if (place?.dataset.field !== undefined) complain(this.#form, place.dataset.field, "");
    say(this.#standing, "");
    this.#show();
    this.#save();
  }

  /** @returns {boolean} whether the server would take it, as far as can be told here. */
  #isRight() {
    const problems = [
      ...(this.#prompt.value.trim() === "" ? [{ name: "prompt", text: t("make.wrong.prompt") }] : []),
      ...[this.#images, this.#steps, this.#guidance].map((input) => ({ name: input.name, text: wrongNumber(input) })),
      ...this.#size.problems,
      ...this.#seed.problems,
      ...this.#loras.problems,
    ].filter(({ text }) => text !== "");
    for (const name of Object.keys(BLANK)) complain(this.#form, name, "");
    const wrong = problems.map(({ name, text }) => complain(this.#form, name, text));
    wrong.find((control) => control !== null)?.focus();
    return problems.length === 0;
  }

  /** @param {unknown} error */
  #refused(error) {
    const { code, field, message } = error instanceof SafelightError ? error : { code: "", field: null, message: "" };
    const name = /^\$\.(?:job\.)?(?:params\.)?(\w+)/.exec(field ?? "")?.[1];
    // At the field there is no need to say which it is.
    const words = errorWords({ code, message: message.replace(/,? at \$\S*$/, ""), field });
    const control = name === undefined ? null : complain(this.#form, name, words);
    if (control === null) {
      app.notices.tell(error);
      return;
    }
    control.focus();
    app.notices.announce(words);
  }

  #reset() {
    this.wish = BLANK;
    this.#prompt.focus();
  }

  #showSending() {
    this.#go.disabled = this.#isSending;
    this.#stop.hidden = !this.#isSending;
    say(this.#go, t(this.#isSending ? "make.sending" : "make.go"));
  }

  /** Show the models and presets there are, and what each number is where none is written. */
  #offer() {
    const chosen = this.#model.value || _remembered().model;
    const models = library.usable("checkpoint", this.#picture.value.image === "" ? "text_to_image" : "image_to_image");
    const own = library.checkpoint(null);
    const first = own === undefined ? t("make.model.default") : t("make.model.default.name", { name: own.name });
    this.#model.replaceChildren(
      h("option", { value: "" }, first),
      ...models.filter(({ is_default: isDefault }) => !isDefault).map(({ name }) => h("option", { value: name }, name)),
    );
    _choose(this.#model, chosen === own?.name ? "" : chosen);
    const preset = this.#preset.value;
    const presets = library.presets.map(({ name }) => h("option", { value: name }, name));
    this.#preset.replaceChildren(h("option", { value: "" }, t("make.none")), ...presets);
    _choose(this.#preset, preset);
    this.#show();
  }

  #show() {
    const { defaults } = library.checkpoint(this.#model.value) ?? {};
    for (const name of NUMBERS) {
      const value = defaults?.[name];
      this.#numberOf(name).placeholder = value == null ? t("make.own.unknown") : t("make.own", { value: number(value) });
    }
    this.#size.own = { width: defaults?.width ?? 512, height: defaults?.height ?? 512 };
    this.#size.isOfPicture = this.#picture.value.image !== "";
    const names = Object.keys(this.#rest);
    this.#others.hidden = names.length === 0;
    if (names.length > 0) {
      const drop = h("button", { type: "button", className: "quiet small" }, t("make.rest.drop"));
      drop.addEventListener("click", () => {
        this.#rest = {};
        this.#show();
        this.#save();
      });
      this.#others.replaceChildren(t("make.rest", { names: names.join(", ") }), " ", drop);
    }
  }

  #save() {
    localStorage.setItem(SAVED, JSON.stringify(this.wish));
  }

  /** @param {typeof NUMBERS[number]} name */
  #numberOf(name) {
    return name === "steps" ? this.#steps : this.#guidance;
  }
}

/**
 * @param {string} name
 * @param {"1" | "any"} step
 * @returns {HTMLInputElement}
 */
function _number(name, step) {
  const [min, max] = RANGES[name] ?? [];
  return h("input", { type: "number", name, min: String(min), max: String(max), step, inputMode: "decimal", autocomplete: "off" });
}

/**
 * @param {Readonly<Record<string, string>>} names
 * @returns {HTMLElement[]} options, the model's own first.
 */
function _named(names) {
  const own = h("option", { value: "" }, t("make.own.unknown"));
  return [own, ...Object.entries(names).map(([value, name]) => h("option", { value }, name))];
}

/**
 * @param {string} name
 * @param {readonly string[]} values
 * @returns {HTMLElement[]}
 */
function _worded(name, values) {
  return values.map((value) => h("option", { value }, t(`make.${name}.${value}`)));
}

/**
 * Choose a value, also one that is not offered: it is the server that says it is not there.
 *
 * @param {unknown} select
 * @param {string} value
 */
function _choose(select, value) {
  if (!(select instanceof HTMLSelectElement)) return;
  if (![...select.options].some((option) => option.value === value)) select.append(h("option", { value }, value));
  select.value = value;
}

/**
 * @template T
 * @param {AbortSignal} signal
 * @param {Promise<T>} promise
 * @returns {Promise<T>} which ends with the signal, too.
 */
function _unless(signal, promise) {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    promise.then(resolve, reject);
  });
}

/** @returns {Wish} */
function _remembered() {
  try {
    return wishFromStorage(JSON.parse(localStorage.getItem(SAVED) ?? "null"));
  } catch {
    return BLANK;
  }
}

customElements.define("sl-prompt-form", PromptForm);
