/** Pictures from the server as files of the reader's: one as it is, many in an archive. */

import { app } from "./app.js";

/** @typedef {import("./client/index.js").JobSnapshot} Job */

/** The server packs no more into one archive. */
const MOST_OUTPUTS = 1000;
/** Browsers begin a download some time after the click. */
const KEPT_MS = 60_000;

/**
 * @param {Job} job
 * @param {Job["outputs"][number]} output
 */
export async function saveOutput(job, output) {
  const blob = await app.client.api.output(job.id, output.index, { accept: output.media_type });
  _save(blob, `${job.task}-${shortId(job.id)}-${output.index}.${_extension(output.media_type)}`);
}

/**
 * Save the outputs of several jobs, in as many archives as it takes.
 *
 * @param {readonly {id: string, outputs: number}[]} jobs - with how many outputs each has.
 */
export async function saveArchives(jobs) {
  const archives = inArchives(jobs.filter((job) => job.outputs > 0));
  for (const [place, ids] of archives.entries()) {
    const blob = await app.client.api.archive(ids);
    _save(blob, archives.length === 1 ? "safelight.zip" : `safelight-${place + 1}.zip`);
  }
}

/**
 * @param {readonly {id: string, outputs: number}[]} jobs
 * @returns {string[][]} ids, together as many outputs as the server packs at once.
 */
export function inArchives(jobs) {
  /** @type {string[][]} */
  const archives = [];
  let left = 0;
  for (const { id, outputs } of jobs) {
    if (archives.length === 0 || outputs > left) {
      archives.push([]);
      left = MOST_OUTPUTS;
    }
    archives.at(-1)?.push(id);
    left -= outputs;
  }
  return archives;
}

/**
 * @param {string} id
 * @returns {string} the part of it that differs between jobs of one moment.
 */
export function shortId(id) {
  return id.slice(-8);
}

/**
 * @param {string} mediaType
 * @returns {string}
 */
function _extension(mediaType) {
  const kind = mediaType.split("/")[1] ?? "bin";
  return kind === "jpeg" ? "jpg" : kind;
}

/**
 * @param {Blob} blob
 * @param {string} name
 */
function _save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), KEPT_MS);
}
