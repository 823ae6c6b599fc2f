/**
 * What the page knows, and how events change it: (state, events) -> state. No DOM, no sockets, nothing is fetched.
 *
 * A job comes as the server's snapshot and is brought forward by its events. Facts that a snapshot includes already
 * (`seq` up to its own) change nothing, so snapshots and events may arrive in any order.
 */

/**
 * @typedef {import("./client/index.js").JobSnapshot} JobSnapshot
 * @typedef {import("./client/index.js").SafelightEvent} SafelightEvent
 *
 * @typedef {object} Preview - The newest picture of a job at work.
 * @property {number} image - 0-based.
 * @property {number} step - 1-based.
 * @property {number} width - in px.
 * @property {number} height - in px.
 * @property {string} mediaType
 * @property {Uint8Array} bytes
 *
 * @typedef {object} Live - What only events tell of a job, and what ends with it.
 * @property {number} [position] - jobs ahead of it.
 * @property {number} [etaS] - seconds until it ends.
 * @property {number} [image] - 0-based.
 * @property {number} [step] - 1-based.
 * @property {number} [steps]
 * @property {number} [progress] - 0..1, of the whole job.
 * @property {string} [stage]
 * @property {Preview} [preview]
 *
 * @typedef {object} Warning
 * @property {string} code
 * @property {string} message
 *
 * @typedef {object} JobState
 * @property {JobSnapshot} job
 * @property {Live} live
 * @property {readonly Warning[]} warnings
 * @property {readonly number[]} skipped - numbers of images that were left out.
 * @property {boolean} [isYoung] - whether it was submitted while the page was open.
 *
 * @typedef {object} ModelState - What the server's topic told of a model since the page was opened.
 * @property {"loading" | "loaded" | "unloaded" | "added" | "failed"} status
 * @property {string} [phase]
 * @property {number} [done] - bytes.
 * @property {number} [total] - bytes.
 * @property {string} [device]
 * @property {number} [sizeBytes]
 * @property {string} [reason]
 *
 * @typedef {object} Connection
 * @property {"connecting" | "open" | "lost" | "refused" | "closed"} phase
 * @property {string} [reason]
 * @property {string} [code]
 * @property {number} [retryInMs]
 *
 * @typedef {object} State
 * @property {ReadonlyMap<string, JobState>} jobs - by id.
 * @property {readonly string[]} order - ids, newest first.
 * @property {ReadonlyMap<string, ModelState>} models - by id.
 * @property {readonly string[]} removed - ids of the jobs that the last events told the removal of.
 * @property {boolean} isDraining - the server said that it will stop.
 * @property {Connection} connection
 */

/** @type {State} */
export const EMPTY = {
  jobs: new Map(),
  order: [],
  models: new Map(),
  removed: [],
  isDraining: false,
  connection: { phase: "connecting" },
};

/** Statuses a job does not leave. */
export const TERMINAL = new Set(["succeeded", "failed", "cancelled"]);

/**
 * @param {JobState} entry
 * @returns {boolean} whether nothing more will happen.
 */
export function hasEnded(entry) {
  return TERMINAL.has(entry.job.status);
}

/**
 * Take what the server says of jobs as a whole. One that is older than what is known changes nothing.
 *
 * @param {State} state
 * @param {readonly JobSnapshot[]} snapshots
 * @param {ReadonlySet<string>} [young] - ids of those that were submitted while the page was open.
 * @returns {State}
 */
export function withJobs(state, snapshots, young) {
  const jobs = new Map(state.jobs);
  for (const job of snapshots) {
    const known = jobs.get(job.id);
    const isYoung = young?.has(job.id) ?? false;
    if (known === undefined) jobs.set(job.id, { job, live: _liveOf(job), warnings: [], skipped: [], isYoung });
    else if (job.seq >= known.job.seq) jobs.set(job.id, { ...known, job, live: hasEnded({ ...known, job }) ? {} : known.live });
  }
  return { ...state, jobs, order: _newestFirst(jobs) };
}

/**
 * @param {State} state
 * @param {readonly string[]} ids
 * @returns {State} without these jobs.
 */
export function withoutJobs(state, ids) {
  const jobs = new Map(state.jobs);
  for (const id of ids) jobs.delete(id);
  return { ...state, jobs, order: state.order.filter((id) => jobs.has(id)) };
}

/**
 * @param {State} state
 * @param {Connection} connection
 * @returns {State}
 */
export function withConnection(state, connection) {
  return { ...state, connection, isDraining: connection.phase === "open" ? false : state.isDraining };
}

/**
 * Take a batch of events, in the order they came. Events of jobs that are not known change nothing: see `unknownJobs`.
 *
 * @param {State} state
 * @param {readonly SafelightEvent[]} events
 * @returns {State}
 */
export function withEvents(state, events) {
  if (events.length === 0) return state;
  const jobs = new Map(state.jobs);
  let { models } = state;
  const removed = [];
  let isDraining = state.isDraining;
  for (const event of events) {
    const known = event.job_id === undefined ? undefined : jobs.get(event.job_id);
    if (event.type === "job.removed") {
      jobs.delete(/** @type {string} */ (event.job_id));
      removed.push(/** @type {string} */ (event.job_id));
    } else if (known !== undefined) jobs.set(known.job.id, _jobAfter(known, event));
    else if (event.type === "server.draining") isDraining = true;
    else {
      const model = _modelAfter(event);
      if (model !== undefined) models = new Map(models).set(/** @type {{model: string}} */ (event.data).model, model);
    }
  }
  const order = removed.length === 0 ? state.order : state.order.filter((id) => jobs.has(id));
  return { ...state, jobs, order, models, removed: removed.length === 0 ? state.removed : removed, isDraining };
}

/**
 * @param {State} state
 * @param {readonly SafelightEvent[]} events
 * @returns {string[]} ids of the jobs these events are of, and nothing else is known of.
 */
export function unknownJobs(state, events) {
  const ids = new Set();
  for (const { type, job_id: id } of events) {
    if (id === undefined || state.jobs.has(id)) continue;
    if (type === "job.removed") ids.delete(id);
    else ids.add(id);
  }
  return [...ids];
}

/**
 * @param {JobState} known
 * @param {SafelightEvent} event
 * @returns {JobState}
 */
function _jobAfter(known, event) {
  if (event.n !== undefined) return hasEnded(known) ? known : { ...known, live: _liveAfter(known.live, event) };
  if (event.type === "job.warning") {
    // The snapshot does not have them: they count whatever its seq is.
    const { code, message } = event.data;
    const isKnown = known.warnings.some((each) => each.code === code && each.message === message);
    const warnings = isKnown ? known.warnings : [...known.warnings, { code, message }];
    return { ...known, warnings, job: { ...known.job, seq: Math.max(known.job.seq, event.seq) } };
  }
  if (event.seq <= known.job.seq) return known;
  const job = { ...known.job, seq: event.seq };
  switch (event.type) {
    case "job.started":
      return { ...known, job: { ...job, status: "running", started_at: event.at, attempt: event.data.attempt }, live: {} };
    case "job.requeued":
      return { ...known, job: { ...job, status: "queued", attempt: event.data.attempt }, live: {} };
    case "output.ready":
      return { ...known, job: { ...job, outputs: [...job.outputs, event.data] } };
    case "output.skipped":
      return { ...known, job, skipped: [...known.skipped, event.data.index] };
    case "job.succeeded":
      return { ...known, job: { ...job, status: "succeeded", finished_at: event.at }, live: {} };
    case "job.failed":
      return { ...known, job: { ...job, status: "failed", finished_at: event.at, error: event.data.error }, live: {} };
    case "job.cancelled":
      return { ...known, job: { ...job, status: "cancelled", finished_at: event.at }, live: {} };
    default:
      return { ...known, job };
  }
}

/**
 * @param {Live} live
 * @param {SafelightEvent} event
 * @returns {Live}
 */
function _liveAfter(live, event) {
  switch (event.type) {
    case "queue.moved":
      return { ...live, position: event.data.position, etaS: event.data.eta_s ?? undefined };
    case "step.finished":
      return {
        ...live,
        image: event.data.image,
        step: event.data.step,
        steps: event.data.steps,
        progress: event.data.progress,
        etaS: event.data.eta_s ?? undefined,
        stage: event.data.stage ?? undefined,
      };
    case "preview.ready": {
      const { image, step, width, height, media_type: mediaType, bytes } = event.data;
      return { ...live, preview: { image, step, width, height, mediaType, bytes } };
    }
    default:
      return live;
  }
}

/**
 * @param {SafelightEvent} event
 * @returns {ModelState | undefined} undefined: it is of no model.
 */
function _modelAfter(event) {
  switch (event.type) {
    case "model.loading": {
      const { phase, done, total } = event.data;
      return { status: "loading", phase, done, total: total ?? undefined };
    }
    case "model.loaded":
      return { status: "loaded", device: event.data.device, sizeBytes: event.data.size_bytes ?? undefined };
    case "model.unloaded":
      return { status: "unloaded", reason: event.data.reason };
    case "model.added":
      return { status: "added", sizeBytes: event.data.size_bytes };
    case "model.failed":
      return { status: "failed", reason: event.data.reason };
    default:
      return undefined;
  }
}

/**
 * @param {JobSnapshot} job
 * @returns {Live}
 */
function _liveOf(job) {
  return { position: job.position ?? undefined, etaS: job.eta_s ?? undefined, progress: job.progress ?? undefined };
}

/**
 * @param {ReadonlyMap<string, JobState>} jobs
 * @returns {string[]} ids; those of jobs are UUIDv7, which sort by time.
 */
function _newestFirst(jobs) {
  return [...jobs.keys()].sort((one, other) => (one < other ? 1 : -1));
}
