/** One submitted job, in the hands of who submitted it. */

import { follow } from "./follow.js";

/** @import { Job as Snapshot } from "./wire.js" */
/** @import { Safelight } from "./safelight.js" */
/** @import { Feed } from "./feed.js" */

export class Job {
  #safelight;
  #feed;

  /**
   * @param {Safelight} safelight
   * @param {Snapshot} snapshot
   * @param {Feed} [feed] what the socket tells of it, where it was submitted with `subscribe`
   */
  constructor(safelight, snapshot, feed) {
    this.#safelight = safelight;
    this.#feed = feed;
    this.id = snapshot.id;
    /** As it was when the server accepted it. */
    this.snapshot = snapshot;
  }

  /**
   * Its events: every fact once and in order, hints as they come; ends after the terminal fact.
   *
   * @param {{after?: number, signal?: AbortSignal}} [options]
   */
  events(options) {
    const feed = this.#feed;
    // One that all its readers have left is told nothing any more.
    return feed !== undefined && !feed.isDeserted ? feed.read(options) : this.#safelight.watch(this.id, options);
  }

  /**
   * Wait for its end, however it ends.
   *
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Snapshot>} as it ended: `status`, `outputs`, `error`
   */
  async wait({ signal } = {}) {
    let job = this.snapshot;
    for await (const event of this.events({ signal })) job = follow(job, event);
    return job;
  }

  /** Ask for its end; the event `job.cancelled` says that it came. @param {{signal?: AbortSignal}} [options] */
  cancel(options) {
    return this.#safelight.cancel(this.id, options);
  }

  /** Ask it to leave out the image it is at. @param {{signal?: AbortSignal}} [options] */
  skip(options) {
    return this.#safelight.skip(this.id, options);
  }

  /**
   * One of its outputs.
   *
   * @param {number} number
   * @param {{accept?: string, maxSidePx?: number, signal?: AbortSignal}} [options]
   */
  output(number, options) {
    return this.#safelight.api.output(this.id, number, options);
  }
}
