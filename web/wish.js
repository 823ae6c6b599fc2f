/**
 * What somebody wants made, as the form holds it, and how it becomes a request and comes back from a job. No DOM.
 *
 * Names are those of the parameters, so that what the server says of a field finds it in the form.
 */

/**
 * @typedef {import("./client/index.js").JobSnapshot} Job
 *
 * @typedef {object} Lora
 * @property {string} name
 * @property {number} weight
 *
 * @typedef {object} Wish
 * @property {string} prompt
 * @property {string} negative_prompt
 * @property {string} image - what to start from, `upload:ID` or `job:ID/N`; empty for nothing.
 * @property {number} strength - 0..1, of the change to `image`.
 * @property {number} images - how many.
 * @property {string} model - empty for the server's default.
 * @property {number | null} width - null for the model's own, as with all numbers here.
 * @property {number | null} height
 * @property {number | null} steps
 * @property {number | null} guidance_scale
 * @property {string} scheduler - empty for the model's own.
 * @property {string} noise_schedule - likewise.
 * @property {string} preset - what gives the rest, as `/v1/presets` lists it; empty for none.
 * @property {string} performance - a mode of speed; empty for none.
 * @property {string} seed - digits, since doubles do not hold the large ones; empty for another one each time.
 * @property {readonly Lora[]} loras
 * @property {readonly string[]} styles
 * @property {"none" | "latest" | "all"} previews
 * @property {"high" | "normal" | "low"} priority
 * @property {"none" | "a1111" | "fooocus"} metadata - what the file says of how it was made.
 * @property {Readonly<Record<string, unknown>>} rest - parameters the form has no field for, kept from an earlier job.
 */

/** @type {Wish} */
export const BLANK = Object.freeze({
  prompt: "",
  negative_prompt: "",
  image: "",
  strength: 0.75,
  images: 1,
  model: "",
  width: null,
  height: null,
  steps: null,
  guidance_scale: null,
  scheduler: "",
  noise_schedule: "",
  preset: "",
  performance: "",
  seed: "",
  loras: [],
  styles: [],
  previews: "latest",
  priority: "normal",
  metadata: "a1111",
  rest: {},
});

/** Parameters without a field which are not nothing where nobody asked for them. */
const DEFAULTS = Object.freeze({
  format: "png",
  quality: 90,
  refiner_start: 0.8,
  refiner_start_by: "noise",
  prompt_syntax: "a1111",
  vary_seed: true,
  preview_px: 256,
  size_rule: "picture",
});

/** Parameters that only a task with a picture takes. */
const OF_A_PICTURE = new Set(["full_steps", "image_guidance_scale", "size_rule", "upscale", "upscale_model"]);

/** Tasks whose jobs the form can be filled from. */
export const FORM_TASKS = new Set(["text_to_image", "image_to_image"]);

/**
 * @param {Wish} wish
 * @returns {{task: string, params: Record<string, unknown>, previews: Wish["previews"], priority: Wish["priority"]}}
 */
export function requestOf(wish) {
  const { image, strength, images, seed, loras, styles, previews, priority, rest } = wish;
  const isFromPicture = image !== "";
  const kept = Object.entries(rest).filter(([name]) => isFromPicture || !OF_A_PICTURE.has(name));
  /** @type {Record<string, unknown>} */
  const params = { ...Object.fromEntries(kept), prompt: wish.prompt.trim() };
  if (wish.negative_prompt.trim() !== "") params.negative_prompt = wish.negative_prompt.trim();
  if (isFromPicture) Object.assign(params, { image, strength });
  if (images !== 1) params.images = images;
  for (const name of /** @type {const} */ (["width", "height", "steps", "guidance_scale"])) {
    if (wish[name] !== null) params[name] = wish[name];
  }
  for (const name of /** @type {const} */ (["model", "scheduler", "noise_schedule", "preset", "performance"])) {
    if (wish[name] !== "") params[name] = wish[name];
  }
  if (seed !== "") params.seed = whole(seed);
  if (loras.length > 0) params.loras = loras;
  if (styles.length > 0) params.styles = styles;
  if (wish.metadata !== "none") params.metadata = wish.metadata;
  return { task: isFromPicture ? "image_to_image" : "text_to_image", params, previews, priority };
}

/**
 * The wish that a job was made from, with the seed it had.
 *
 * @param {Job} job - of one of `FORM_TASKS`.
 * @returns {Wish}
 */
export function wishOf(job) {
  const params = { .../** @type {Record<string, any>} */ (job.params) };
  /** @type {any} */
  const wish = { ...BLANK, strength: BLANK.strength, previews: job.previews, priority: job.priority };
  const seed = seedOf(job);
  for (const name of Object.keys(BLANK)) {
    if (params[name] !== undefined && params[name] !== null) wish[name] = params[name];
    delete params[name];
  }
  wish.seed = seed === null ? "" : String(seed);
  wish.rest = _unusual(params);
  return wish;
}

/**
 * What a file says it was made with, as far as the form has fields for it.
 *
 * @param {Record<string, any>} recipe - of `/v1/recipes`.
 * @returns {Wish}
 */
export function wishFromRecipe(recipe) {
  /** @type {any} */
  const wish = { ...BLANK };
  for (const name of ["prompt", "negative_prompt", "styles", "width", "height", "steps", "guidance_scale", "scheduler", "noise_schedule", "performance", "model"]) {
    if (recipe[name] !== undefined && recipe[name] !== null) wish[name] = recipe[name];
  }
  wish.seed = recipe.seed === undefined || recipe.seed === null ? "" : String(recipe.seed);
  wish.loras = (recipe.loras ?? []).map((/** @type {Lora} */ { name, weight }) => ({ name, weight: weight ?? 1 }));
  return wish;
}

/**
 * Read what was kept of a wish, by this version of the page or another one.
 *
 * @param {unknown} kept
 * @returns {Wish}
 */
export function wishFromStorage(kept) {
  /** @type {any} */
  const wish = { ...BLANK };
  if (typeof kept !== "object" || kept === null) return wish;
  for (const [name, value] of Object.entries(BLANK)) {
    const found = /** @type {Record<string, unknown>} */ (kept)[name];
    const isAlike = value === null ? found === null || typeof found === "number" : typeof found === typeof value;
    if (isAlike && Array.isArray(found) === Array.isArray(value)) wish[name] = found;
  }
  return wish;
}

/**
 * @param {Job} job
 * @returns {number | bigint | null} of its first picture; null if nobody knows it yet.
 */
export function seedOf(job) {
  const { seed: asked, vary_seed: varies = true } = /** @type {Record<string, any>} */ (job.params);
  if (asked !== undefined && asked !== null) return asked;
  const first = job.outputs?.[0];
  if (first?.seed === undefined || first.seed === null) return null;
  const seed = BigInt(first.seed) - (varies ? BigInt(first.index) : 0n);
  return seed < 0n ? null : whole(String(seed));
}

/**
 * @param {string} digits
 * @returns {number | bigint}
 */
export function whole(digits) {
  const value = Number(digits);
  return Number.isSafeInteger(value) ? value : BigInt(digits);
}

/**
 * @param {Record<string, unknown>} params
 * @returns {Record<string, unknown>} those that somebody asked for.
 */
function _unusual(params) {
  const usual = /** @type {Record<string, unknown>} */ (DEFAULTS);
  return Object.fromEntries(
    Object.entries(params).filter(([name, value]) => {
      if (name in usual) return value !== usual[name] && value !== null;
      return !(value === null || value === false || value === 0 || value === "" || (Array.isArray(value) && value.length === 0));
    }),
  );
}
