/** What the events of a job add up to. */
import type { Job, SafelightEvent } from "./wire.js";
/** @import { Job, SafelightEvent } from "./wire.js" */
/**
 * The job after `event`; a fact it already includes changes nothing. Neither is changed: a new job is made.
 *
 * @param {Job} job
 * @param {SafelightEvent} event
 * @returns {Job}
 */
export declare function follow(job: Job, event: SafelightEvent): Job;
