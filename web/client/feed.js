/** Everything one client knows of one job: its facts, complete and in order, whatever the connection does. */

import { TERMINAL_EVENTS } from "./events.js";
import { Reader, isFact } from "./reader.js";

/** @import { Job, SafelightEvent } from "./wire.js" */

/** An event shows that facts before it are missing: resume from the last one that is there. */
export class Gap extends Error {}

/** @param {SafelightEvent} event */
export const isTerminal = (event) => TERMINAL_EVENTS.has(event.type);

/**
 * The events of one job, for any number of readers.
 *
 * A connection offers what arrives, repeats and all; the feed keeps each fact once and refuses one that would leave a
 * gap. Facts are kept (a job has few), of hints the latest of each type.
 */
export class Feed {
  /** @type {SafelightEvent[]} */
  #facts = [];
  /** @type {Map<string, SafelightEvent>} */
  #hints = new Map();
  /** @type {Set<string>} types of hints that a new connection may tell again */
  #resuming = new Set();
  /** @type {Set<Reader>} */
  #readers = new Set();
  /** @type {unknown} */
  #error = undefined;
  /** Whether what comes belongs to the present subscription. */
  #isAgreed = false;
  #hasBegun = false;
  /** Whether the terminal fact is here, or none can come any more. */
  hasEnded = false;
  /** Whether its readers have left before the end: it is not told any more. */
  isDeserted = false;
  /** @type {(() => void) | undefined} called once nobody wants any more of it: at its end, or when all readers left */
  onDone = undefined;

  /**
   * @param {string} jobId
   * @param {number} [after] the facts up to this `seq` are not wanted
   */
  constructor(jobId, after = 0) {
    this.jobId = jobId;
    /** The `seq` it began after. */
    this.start = after;
    /** Of the last fact taken; resume after this. */
    this.seq = after;
  }

  /** Under which name a conversation keeps it. */
  get name() {
    return this.jobId;
  }

  /** The message that asks for what comes next. */
  subscription() {
    return { type: "subscribe", job_id: this.jobId, after: this.seq };
  }

  /** The message that asks for no more. */
  unsubscription() {
    return { type: "unsubscribe", job_id: this.jobId };
  }

  /**
   * The server agreed: what comes from now on belongs to this subscription.
   *
   * @param {{job?: Job | null}} reply
   */
  subscribed({ job }) {
    this.submitted();
    const isOver = job?.status === "succeeded" || job?.status === "failed" || job?.status === "cancelled";
    if (isOver && job.seq <= this.seq) this.#finish(undefined); // there is nothing more to tell
  }

  /** It was just submitted, and is told from its beginning. */
  submitted() {
    this.#isAgreed = true;
    this.#hasBegun = true;
    for (const reader of this.#readers) reader.begin();
  }

  /** A new connection begins: the server may repeat the latest hints, or count anew after a restart. */
  resuming() {
    this.#isAgreed = false;
    this.#resuming = new Set(this.#hints.keys());
  }

  /**
   * Take an event, unless it is here already.
   *
   * @param {SafelightEvent} event
   * @throws {Gap} facts between the last one here and this event are missing
   */
  offer(event) {
    // Until the server agrees, events are those of an earlier subscription to the same job on the same socket.
    if (this.hasEnded || !this.#isAgreed) return;
    const fact = isFact(event);
    const { seq } = event;
    if (fact && seq <= this.seq) return;
    if (seq > this.seq + Number(fact)) {
      throw new Gap(`job ${this.jobId}: ${event.type} with seq ${seq} after ${this.seq}`);
    }
    if (fact) {
      this.seq = seq;
      this.#facts.push(event);
    } else {
      if (!this.#isNewer(event)) return;
      this.#hints.set(event.type, event);
    }
    for (const reader of this.#readers) reader.put(event);
    if (isTerminal(event)) this.#finish(undefined);
  }

  /**
   * No more events will come: readers get what is here, then `error`.
   *
   * @param {unknown} error
   */
  fail(error) {
    if (!this.hasEnded) this.#finish(error);
  }

  /**
   * Every fact with a `seq` above `after`, once and in order, and hints as they come, up to the terminal fact.
   *
   * @param {{after?: number, signal?: AbortSignal}} [options]
   */
  read({ after = 0, signal } = {}) {
    const reader = new Reader({ after, signal, onLeave: (left) => this.#leave(left) });
    // A hint comes after the fact it follows, and before the next one.
    const known = [...this.#facts, ...this.#hints.values()].sort((a, b) => a.seq - b.seq || (a.n ?? 0) - (b.n ?? 0));
    if (this.#hasBegun) reader.begin();
    for (const event of known) reader.put(event);
    if (this.hasEnded) reader.end(this.#error);
    else if (!signal?.aborted) this.#readers.add(reader);
    return reader;
  }

  /** @param {SafelightEvent} hint */
  #isNewer(hint) {
    const old = this.#hints.get(hint.type);
    if (old === undefined) return true;
    if (this.#resuming.delete(hint.type)) {
      return hint.attempt !== old.attempt || hint.n !== old.n || hint.at !== old.at;
    }
    return isAfter(hint, old);
  }

  /** @param {Reader} reader */
  #leave(reader) {
    if (!this.#readers.delete(reader) || this.#readers.size > 0 || this.hasEnded) return;
    this.isDeserted = true;
    this.onDone?.();
  }

  /** @param {unknown} error */
  #finish(error) {
    this.hasEnded = true;
    this.#error = error;
    for (const reader of this.#readers) reader.end(error);
    this.#readers.clear();
    this.onDone?.();
  }
}

/**
 * Whether one hint of a job was told after another one of the same type.
 *
 * @param {{attempt?: number, n?: number}} hint
 * @param {{attempt?: number, n?: number}} old
 */
export function isAfter(hint, old) {
  const attempts = (hint.attempt ?? 0) - (old.attempt ?? 0);
  return attempts > 0 || (attempts === 0 && (hint.n ?? 0) > (old.n ?? 0));
}
