/** What can be done with a job or one of its pictures. What comes of it is told by the server's events. */

import { app } from "./app.js";
import { saveArchives, saveOutput } from "./downloads.js";
import { seedOf } from "./wish.js";

/** @typedef {import("./client/index.js").JobSnapshot} Job */

/** How many times larger `upscale` makes a picture. */
export const UPSCALE_FACTOR = 2;

/**
 * Make the same once more, with the seed it had.
 *
 * @param {Job} job
 */
export async function again(job) {
  const seed = seedOf(job);
  await _submit(job, seed === null ? job.params : { ...job.params, seed });
}

/**
 * Make the same with another seed.
 *
 * @param {Job} job
 */
export async function vary(job) {
  const { seed: _, ...params } = /** @type {Record<string, unknown>} */ (job.params);
  await _submit(job, params);
}

/**
 * @param {Job} job
 * @returns {boolean} whether `again` and `vary` make sense: pictures sent inside the request are not kept in it.
 */
export function canRepeat(job) {
  const pictures = ["image", "mask", "example"].map((name) => /** @type {Record<string, unknown>} */ (job.params)[name]);
  return pictures.every((each) => typeof each !== "string" || /^(upload:|job:|https?:)/.test(each));
}

/**
 * @param {Job} job
 * @returns {boolean} whether another seed makes another picture.
 */
export function canVary(job) {
  return "seed" in job.params && canRepeat(job);
}

/**
 * @param {Job} job
 * @param {number} index - of the picture.
 */
export async function upscale(job, index) {
  await _submit({ ...job, task: "upscale" }, { image: pictureOf(job, index), factor: UPSCALE_FACTOR });
}

/**
 * @param {Job} job
 * @param {number} index
 */
export function edit(job, index) {
  app.router.go("edit", { picture: pictureOf(job, index) });
}

/**
 * @param {Job} job
 * @param {number} index
 */
export function startFrom(job, index) {
  app.router.go("make", { picture: pictureOf(job, index), as: "image" });
}

/**
 * @param {Job} job
 * @param {number} index
 */
export async function save(job, index) {
  const output = job.outputs.find((each) => each.index === index);
  if (output !== undefined) await _told(saveOutput(job, output));
}

/** @param {Job} job */
export async function saveAll(job) {
  await _told(saveArchives([{ id: job.id, outputs: job.outputs.length }]));
}

/** @param {Job} job */
export async function cancel(job) {
  await _told(app.client.api.cancel(job.id).then((asked) => app.store.put([asked])));
}

/** @param {Job} job */
export async function skip(job) {
  await _told(app.client.skip(job.id));
}

/**
 * @param {{id: string}} job
 * @param {number} index
 * @returns {string} as requests name it.
 */
export function pictureOf(job, index) {
  return `job:${job.id}/${index}`;
}

/**
 * @param {Job} job
 * @param {Record<string, unknown>} params
 */
async function _submit({ task, priority, previews }, params) {
  await _told(
    app.client
      .submit(/** @type {any} */ ({ task, params, priority, previews }), { subscribe: false })
      .then(({ snapshot }) => app.store.put([snapshot])),
  );
}

/**
 * @param {Promise<unknown>} promise
 */
async function _told(promise) {
  try {
    await promise;
  } catch (error) {
    app.notices.tell(error);
  }
}
