/** What the events of a job add up to. */

/** @import { Job, SafelightEvent } from "./wire.js" */

/**
 * The job after `event`; a fact it already includes changes nothing. Neither is changed: a new job is made.
 *
 * @param {Job} job
 * @param {SafelightEvent} event
 * @returns {Job}
 */
export function follow(job, event) {
  if (event.n !== undefined) return { ...job, ...changesByHint(job, event) };
  return event.seq <= job.seq ? job : { ...job, ...changesByFact(job, event), seq: event.seq };
}

/**
 * @param {Job} job
 * @param {SafelightEvent} event
 * @returns {Partial<Job>}
 */
function changesByFact(job, event) {
  switch (event.type) {
    case "job.queued":
      return { status: "queued", attempt: event.data.attempt };
    case "job.started": {
      const { attempt } = event.data;
      return { status: "running", attempt, started_at: event.at, position: null, progress: null };
    }
    case "job.requeued":
      return { status: "queued", attempt: event.data.attempt, progress: null, eta_s: null };
    case "output.ready": {
      const output = event.data;
      return { outputs: [...(job.outputs ?? []).filter(({ index }) => index !== output.index), output] };
    }
    case "job.succeeded":
      return { ...end("succeeded", event), progress: 1 };
    case "job.failed":
      return { ...end("failed", event), error: event.data.error };
    case "job.cancelled":
      return end("cancelled", event);
    default:
      return {};
  }
}

/**
 * @param {Job} job
 * @param {SafelightEvent} event
 * @returns {Partial<Job>}
 */
function changesByHint(job, event) {
  if (event.type === "queue.moved" && job.status === "queued") {
    return { position: event.data.position, eta_s: event.data.eta_s };
  }
  if (event.type === "step.finished" && job.status === "running") {
    return { progress: event.data.progress, eta_s: event.data.eta_s };
  }
  return {};
}

/**
 * @param {Job["status"]} status
 * @param {SafelightEvent} event
 * @returns {Partial<Job>}
 */
function end(status, event) {
  return { status, finished_at: event.at, position: null, eta_s: null };
}
