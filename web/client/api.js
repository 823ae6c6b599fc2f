/** The REST surface, call by call. Every call takes an `AbortSignal`, and throws `SafelightError` when refused. */

import { uploadWithProgress } from "./uploading.js";

/** @import { Rest } from "./rest.js" */
/** @import { Job, JobPage, JobRequest, ModelInfo, ModelList } from "./wire.js" */
/** @import { PictureRecipe, PresetList, ServerInfo, StyleList } from "./wire.js" */
/** @typedef {{signal?: AbortSignal}} Abortable */

/**
 * A picture that is stored, until it expires.
 *
 * @typedef {object} Upload
 * @property {string} id
 * @property {string} ref `upload:ID`, to be given where a job takes a picture
 * @property {string} [name]
 * @property {string} media_type found by looking at it
 * @property {number} width upright
 * @property {number} height
 * @property {number} size_bytes
 * @property {string} expires_at
 */

/**
 * Whether the server takes work now.
 *
 * @typedef {object} Readiness
 * @property {boolean} ready
 * @property {string[]} problems why not, if not
 * @property {{status: string, device: string, live_jobs: number, live_bytes: number, budget_bytes: number}} engine
 * @property {Record<string, number>} queued waiting jobs by class
 */

/** The name of a model may be a path; its slashes stay. @param {string} name */
const modelPath = (name) => `/v1/models/${name.split("/").map(encodeURIComponent).join("/")}`;

/** @param {string} id */
const jobPath = (id) => `/v1/jobs/${encodeURIComponent(id)}`;

export class Api {
  #rest;

  /** @param {Rest} rest */
  constructor(rest) {
    this.#rest = rest;
  }

  // Jobs

  /**
   * Submit over HTTP; `Safelight.submit` does it over the socket, and again after a break.
   *
   * @param {JobRequest} request
   * @param {Abortable & {idempotencyKey?: string}} [options]
   * @returns {Promise<Job>}
   */
  submit(request, { idempotencyKey, signal } = {}) {
    /** @type {Record<string, string>} */
    const headers = idempotencyKey === undefined ? {} : { "Idempotency-Key": idempotencyKey };
    return this.#rest.json("POST", "/v1/jobs", { json: request, headers, signal });
  }

  /**
   * A page of one's own jobs, newest first.
   *
   * @param {Abortable & {status?: string | readonly string[], task?: string | readonly string[], q?: string,
   *   label?: string, limit?: number, cursor?: string | null}} [options] `q`: words of the prompt. `label`:
   *   `NAME:VALUE`. `cursor`: the `next` of the page before
   * @returns {Promise<JobPage>}
   */
  jobs({ signal, ...query } = {}) {
    return this.#rest.json("GET", "/v1/jobs", { query, signal });
  }

  /**
   * @param {string} id
   * @param {Abortable & {waitS?: number}} [options] `waitS`: how long to wait for its end
   * @returns {Promise<Job>}
   */
  job(id, { waitS, signal } = {}) {
    return this.#rest.json("GET", jobPath(id), { query: { wait: waitS }, signal });
  }

  /**
   * Ask that a job be cancelled; the event `job.cancelled` says that it was.
   *
   * @param {string} id
   * @param {Abortable} [options]
   * @returns {Promise<Job>}
   */
  cancel(id, options) {
    return this.#rest.json("DELETE", jobPath(id), options);
  }

  /**
   * Ask that a running job leave out the image it is at; the event `output.skipped` says that it did.
   *
   * @param {string} id
   * @param {Abortable} [options]
   * @returns {Promise<Job>}
   */
  skip(id, options) {
    return this.#rest.json("POST", `${jobPath(id)}/skip`, options);
  }

  /**
   * Remove an ended job with its outputs, for good.
   *
   * @param {string} id
   * @param {Abortable} [options]
   * @returns {Promise<void>}
   */
  async forget(id, options) {
    await this.#rest.call("DELETE", `${jobPath(id)}/record`, options);
  }

  // Pictures

  /**
   * Where an output is, for an `<img>` on a server without keys.
   *
   * @param {string} id
   * @param {number} number
   * @param {{maxSidePx?: number}} [options] scaled down to this
   */
  outputUrl(id, number, { maxSidePx } = {}) {
    return this.#rest.url(`${jobPath(id)}/outputs/${number}`, { max_side_px: maxSidePx });
  }

  /**
   * @param {string} id
   * @param {number} number
   * @param {Abortable & {accept?: string, maxSidePx?: number}} [options] `accept`: media types, e.g. `image/webp`
   * @returns {Promise<Blob>}
   */
  async output(id, number, { accept = "*/*", maxSidePx, signal } = {}) {
    const path = `${jobPath(id)}/outputs/${number}`;
    const options = { query: { max_side_px: maxSidePx }, headers: { Accept: accept }, signal };
    return (await this.#rest.call("GET", path, options)).blob();
  }

  /**
   * The newest preview of a running job.
   *
   * @param {string} id
   * @param {Abortable} [options]
   * @returns {Promise<Blob>}
   */
  async preview(id, options) {
    return (await this.#rest.call("GET", `${jobPath(id)}/preview`, options)).blob();
  }

  /**
   * Many outputs in one ZIP file.
   *
   * @param {readonly (string | {job_id: string, index?: number})[]} outputs ids of jobs, for all
   *   outputs of each, or single ones
   * @param {Abortable} [options]
   * @returns {Promise<Blob>}
   */
  async archive(outputs, { signal } = {}) {
    const json = { outputs: outputs.map((item) => (typeof item === "string" ? { job_id: item } : item)) };
    return (await this.#rest.call("POST", "/v1/archives", { json, signal })).blob();
  }

  /**
   * Store a picture; its `ref` is what a job takes as a picture.
   *
   * @param {Blob} blob
   * @param {Abortable & {name?: string, onProgress?: (sentBytes: number, totalBytes: number) => void}} [options]
   * @returns {Promise<Upload>}
   */
  upload(blob, { name, signal, onProgress } = {}) {
    if (onProgress !== undefined && typeof XMLHttpRequest !== "undefined") {
      const headers = { ...this.#rest.authorization, ...OCTETS };
      return uploadWithProgress(this.#rest.url("/v1/uploads", { name }), blob, { headers, onProgress, signal });
    }
    return this.#rest.json("POST", "/v1/uploads", { query: { name }, body: blob, headers: OCTETS, signal });
  }

  /**
   * A picture that was uploaded before.
   *
   * @param {string} id without `upload:`
   * @param {Abortable & {accept?: string}} [options] `accept`: media types; in another format if its own is
   *   none of them
   * @returns {Promise<Blob>}
   */
  async uploaded(id, { accept = "*/*", signal } = {}) {
    const path = `/v1/uploads/${encodeURIComponent(id)}`;
    return (await this.#rest.call("GET", path, { headers: { Accept: accept }, signal })).blob();
  }

  /**
   * What a picture was made with, as its file says it.
   *
   * @param {Blob} blob
   * @param {Abortable} [options]
   * @returns {Promise<PictureRecipe>}
   */
  recipe(blob, { signal } = {}) {
    return this.#rest.json("POST", "/v1/recipes", { body: blob, headers: OCTETS, signal });
  }

  // Models

  /**
   * @param {Abortable & {kind?: string, task?: string}} [options]
   * @returns {Promise<ModelList>}
   */
  models({ signal, ...query } = {}) {
    return this.#rest.json("GET", "/v1/models", { query, signal });
  }

  /**
   * @param {string} name or its `id`
   * @param {Abortable} [options]
   * @returns {Promise<ModelInfo>}
   */
  model(name, options) {
    return this.#rest.json("GET", modelPath(name), options);
  }

  /**
   * Load a checkpoint before anybody needs it: a job without outputs.
   *
   * @param {string} name
   * @param {Abortable} [options]
   * @returns {Promise<Job>}
   */
  loadModel(name, options) {
    return this.#rest.json("POST", `${modelPath(name)}/load`, options);
  }

  /**
   * Ask that a model leave memory; `model.unloaded` tells when it did.
   *
   * @param {string} name
   * @param {Abortable} [options]
   * @returns {Promise<ModelInfo>}
   */
  unloadModel(name, options) {
    return this.#rest.json("POST", `${modelPath(name)}/unload`, options);
  }

  /**
   * Have the server download a model file; `model.added` or `model.failed` tells the end.
   *
   * @param {{url: string, kind: string, name?: string, sha256?: string}} wanted
   * @param {Abortable} [options]
   * @returns {Promise<ModelInfo>}
   */
  downloadModel(wanted, { signal } = {}) {
    return this.#rest.json("POST", "/v1/models", { json: wanted, signal });
  }

  /**
   * @param {string} name
   * @param {Abortable & {arrived?: "keep" | "discard"}} [options] what becomes of the bytes that are here already
   * @returns {Promise<ModelInfo>}
   */
  cancelDownload(name, { arrived, signal } = {}) {
    return this.#rest.json("DELETE", `${modelPath(name)}/download`, { query: { arrived }, signal });
  }

  /**
   * The model with its SHA-256, which the server computes if it does not know it.
   *
   * @param {string} name
   * @param {Abortable} [options]
   * @returns {Promise<ModelInfo>}
   */
  hashModel(name, options) {
    return this.#rest.json("POST", `${modelPath(name)}/hash`, options);
  }

  /**
   * @param {Abortable} [options]
   * @returns {Promise<PresetList>}
   */
  presets(options) {
    return this.#rest.json("GET", "/v1/presets", options);
  }

  /**
   * @param {Abortable} [options]
   * @returns {Promise<StyleList>}
   */
  styles(options) {
    return this.#rest.json("GET", "/v1/styles", options);
  }

  // The server

  /**
   * What the server is, what it has in memory, what waits, and how much it takes.
   *
   * @param {Abortable} [options]
   * @returns {Promise<ServerInfo>}
   */
  server(options) {
    return this.#rest.json("GET", "/v1/server", options);
  }

  /**
   * Whether the server takes work now, and if not, why.
   *
   * @param {Abortable} [options]
   * @returns {Promise<Readiness>}
   */
  ready({ signal } = {}) {
    return this.#rest.json("GET", "/v1/health/ready", { also: [503], signal });
  }

  /**
   * Whether anybody answers, and in which version.
   *
   * @param {Abortable} [options]
   * @returns {Promise<{status: string, version: string, protocol: number}>}
   */
  live({ signal } = {}) {
    return this.#rest.json("GET", "/v1/health/live", { signal });
  }

  /**
   * The OpenAPI document.
   *
   * @param {Abortable} [options]
   * @returns {Promise<any>}
   */
  openapi({ signal } = {}) {
    return this.#rest.json("GET", "/openapi.json", { signal });
  }

  /**
   * The JSON Schema of each task's parameters: ranges, defaults, descriptions.
   *
   * @param {Abortable} [options]
   * @returns {Promise<{tasks: Record<string, any>, schemas: Record<string, any>}>} task -> schema of its
   *   `params`, whose references (`#/components/schemas/NAME`) are to `schemas`
   */
  async tasks(options) {
    const { schemas } = (await this.openapi(options)).components;
    const nameOf = (/** @type {string} */ reference) => reference.slice(reference.lastIndexOf("/") + 1);
    const tasks = Object.entries(/** @type {Record<string, string>} */ (schemas.JobRequest.discriminator.mapping));
    return {
      tasks: Object.fromEntries(
        tasks.map(([task, reference]) => {
          return [task, schemas[nameOf(schemas[nameOf(reference)].properties.params.$ref)]];
        }),
      ),
      schemas,
    };
  }
}

const OCTETS = Object.freeze({ "Content-Type": "application/octet-stream" });
