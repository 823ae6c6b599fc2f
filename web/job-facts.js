/** What can be told of a job's pictures: their shape before they are there, and in short how they were made. */

import { library } from "./library.js";
import { workedS } from "./job-words.js";
import { seedOf } from "./wish.js";
import { duration, t } from "./words/words.js";

/**
 * @typedef {import("./client/index.js").JobSnapshot} Job
 * @typedef {import("./state.js").JobState} JobState
 * @typedef {import("./state.js").State} State
 *
 * @typedef {{width: number, height: number}} Shape
 */

/**
 * @param {JobState} entry
 * @param {State["jobs"]} jobs - where the picture it starts from may be found.
 * @returns {Shape | null} width and height its pictures will have to each other; null if nobody knows yet.
 */
export function shapeOf({ job, live }, jobs) {
  const { width, height } = job.outputs.find((each) => each.width != null) ?? {};
  if (width != null && height != null) return { width, height };
  const asked = /** @type {{width?: number | null, height?: number | null, image?: string, model?: string | null}} */ (job.params);
  const usual = typeof asked.image === "string" ? _outputNamed(asked.image, jobs) : _ownOf(asked.model, job.task);
  const across = asked.width ?? usual?.width;
  const down = asked.height ?? usual?.height;
  if (across != null && down != null) return { width: across, height: down };
  const { preview } = live;
  return preview === undefined || preview.width === 0 ? null : { width: preview.width, height: preview.height };
}

/**
 * @param {Job} job
 * @param {number} [index] - of a picture of it; without one they are of all of it.
 * @returns {string} for example `spark · 256 × 256 · 20 steps · seed 7 · 4 s`.
 */
export function facts(job, index) {
  const first = index === undefined ? job.outputs[0] : job.outputs.find((each) => each.index === index);
  const data = /** @type {{model?: string, steps?: number}} */ (first?.data ?? {});
  const params = /** @type {{model?: unknown, steps?: number | null, width?: number | null, height?: number | null}} */ (job.params);
  const width = first?.width ?? params.width;
  const height = first?.height ?? params.height;
  const steps = data.steps ?? params.steps;
  const model = data.model ?? params.model;
  const seed = (index === undefined ? undefined : first?.seed) ?? seedOf(job);
  const seconds = workedS(job);
  return [
    typeof model === "string" ? model : "",
    width != null && height != null ? `${width} × ${height}` : "",
    steps == null ? "" : t("make.card.steps", { steps }),
    seed === null ? "" : t("make.card.seed", { seed: String(seed) }),
    seconds === null ? "" : duration(seconds),
  ]
    .filter((each) => each !== "")
    .join(" · ");
}

/**
 * @param {JobState} entry
 * @param {State["models"]} models
 * @returns {{done: number, total: number} | null} how far the model is that the job waits for; null if it waits for none.
 */
export function loadingOf({ job, live }, models) {
  if (job.status !== "running" || live.step !== undefined) return null;
  const { model } = /** @type {{model?: unknown}} */ (job.params);
  const id = library.checkpoint(typeof model === "string" ? model : null)?.id;
  const known = id == null ? undefined : models.get(id);
  if (known?.status !== "loading") return null;
  return { done: known.done ?? 0, total: known.total ?? 0 };
}

/**
 * @param {string} picture - as requests name it.
 * @param {State["jobs"]} jobs
 * @returns {Shape | null}
 */
function _outputNamed(picture, jobs) {
  const [, id = "", index] = /^job:([^/]+)\/(\d+)$/.exec(picture) ?? [];
  const { width, height } = jobs.get(id)?.job.outputs.find((each) => each.index === Number(index)) ?? {};
  return width == null || height == null ? null : { width, height };
}

/**
 * @param {string | null | undefined} model
 * @param {string} task
 * @returns {Shape | null}
 */
function _ownOf(model, task) {
  if (task !== "text_to_image") return null;
  const { width, height } = library.checkpoint(model)?.defaults ?? {};
  return width == null || height == null ? null : { width, height };
}
