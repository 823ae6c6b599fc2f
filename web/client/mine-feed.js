/** The events of all jobs of one's own key, in one line, from a cursor on. */

import { Gap, isAfter, isTerminal } from "./feed.js";
import { Reader, isFact } from "./reader.js";

/** @import { SafelightEvent } from "./wire.js" */
/** @typedef {{attempt?: number, n?: number, at: string}} Mark */

/** Like `Feed`, for every job that the key may see, with one reader and a connection of its own. */
export class MineFeed {
  #cursor;
  /** @type {Map<string, number>} job id -> seq of its last fact; kept after its end, to know a repeat of it */
  #seqs = new Map();
  /** @type {Map<string, Map<string, Mark>>} job id -> type of hint -> the newest told */
  #marks = new Map();
  /** @type {Set<string>} "job id type" of hints that a new connection may tell again */
  #resuming = new Set();
  hasEnded = false;
  name = "mine";

  /** @param {{cursor?: string | null, signal?: AbortSignal, onLeave?: () => void}} [options] */
  constructor({ cursor = null, signal, onLeave } = {}) {
    this.#cursor = cursor;
    this.reader = new Reader({
      signal,
      onLeave: () => {
        this.hasEnded = true;
        onLeave?.();
      },
    });
  }

  subscription() {
    return { type: "subscribe", jobs: "mine", ...(this.#cursor === null ? {} : { cursor: this.#cursor }) };
  }

  unsubscription() {
    return { type: "unsubscribe", jobs: "mine" };
  }

  /**
   * The server agreed, and says where the subscription begins.
   *
   * @param {{cursor?: string | null}} reply
   */
  subscribed({ cursor }) {
    this.#cursor ??= cursor ?? null;
    this.reader.begin();
  }

  resuming() {
    for (const [jobId, marks] of this.#marks) for (const type of marks.keys()) this.#resuming.add(`${jobId} ${type}`);
  }

  /**
   * Take an event, unless it came before.
   *
   * @param {SafelightEvent} event
   * @throws {Gap} facts of its job between the last one that came and this event are missing
   */
  offer(event) {
    const { job_id: jobId, seq } = event;
    if (this.hasEnded || jobId === undefined) return;
    const fact = isFact(event);
    const last = this.#seqs.get(jobId);
    if (last !== undefined) {
      if (fact && seq <= last) return;
      if (seq > last + Number(fact)) throw new Gap(`job ${jobId}: ${event.type} with seq ${seq} after ${last}`);
    }
    if (fact) {
      this.#seqs.set(jobId, seq);
      this.#cursor = event.cursor ?? this.#cursor;
      if (isTerminal(event)) this.#marks.delete(jobId);
    } else if (!this.#isNewer(jobId, event)) {
      return;
    }
    if (event.type === "job.removed") {
      // Nothing of it can come again.
      this.#marks.delete(jobId);
      this.#seqs.delete(jobId);
    }
    this.reader.put(event);
  }

  /** @param {unknown} error */
  fail(error) {
    this.hasEnded = true;
    this.reader.end(error);
  }

  /**
   * @param {string} jobId
   * @param {SafelightEvent} hint
   */
  #isNewer(jobId, hint) {
    const { attempt, n, at, type } = hint;
    let marks = this.#marks.get(jobId);
    if (marks === undefined) this.#marks.set(jobId, (marks = new Map()));
    const old = marks.get(type);
    const isResuming = this.#resuming.delete(`${jobId} ${type}`);
    if (old !== undefined) {
      const isSame = attempt === old.attempt && n === old.n && at === old.at;
      if (isResuming ? isSame : !isAfter(hint, old)) return false;
    }
    marks.set(type, { attempt, n, at });
    return true;
  }
}
