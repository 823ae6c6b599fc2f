/** What a job is called, and how it stands, in words. */

import { hasEnded } from "./state.js";
import { duration, hasWords, number, t } from "./words/words.js";

/**
 * @typedef {import("./client/index.js").JobSnapshot} Job
 * @typedef {import("./state.js").JobState} JobState
 */

/**
 * @param {string} task
 * @returns {string}
 */
export function taskName(task) {
  return hasWords(`task.${task}`) ? t(`task.${task}`) : task;
}

/**
 * @param {Job} job
 * @returns {string} its prompt, the model it is about, or nothing.
 */
export function subject(job) {
  const { prompt, model, url } = /** @type {Record<string, unknown>} */ (job.params);
  for (const each of [prompt, job.task === "load_model" ? model : undefined, url]) {
    if (typeof each === "string" && each.trim() !== "") return each.trim();
  }
  return "";
}

/**
 * @param {Job} job
 * @returns {number | null} seconds from its start to its end.
 */
export function workedS(job) {
  if (job.started_at == null || job.finished_at == null) return null;
  return (Date.parse(job.finished_at) - Date.parse(job.started_at)) / 1000;
}

/**
 * @param {JobState} entry
 * @returns {string} how far it is: place in the queue, or step and time left.
 */
export function standing(entry) {
  const { job, live } = entry;
  if (hasEnded(entry)) return t(`status.${job.status}`);
  const left = live.etaS === undefined || live.etaS <= 0 ? "" : t("history.left", { time: duration(live.etaS) });
  if (job.cancel_requested) return t("history.cancelling");
  if (job.status === "queued") {
    const place = live.position === undefined ? t("status.queued") : live.position === 0 ? t("history.next") : t("history.ahead", { count: live.position });
    return left === "" ? place : t("history.and", { one: place, other: left });
  }
  if (live.step === undefined || live.steps === undefined) return left === "" ? t("status.running") : left;
  const step = t("history.step", { step: live.step, steps: live.steps });
  return left === "" ? step : t("history.and", { one: step, other: left });
}

/**
 * @param {number} share - 0..1.
 * @returns {string}
 */
export function percent(share) {
  return number(share, { style: "percent", maximumFractionDigits: 0 });
}
