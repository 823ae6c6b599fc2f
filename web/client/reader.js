/** One reader of events, as slow as it likes: facts wait in line, a newer hint takes the place of an older one. */

/** @import { SafelightEvent } from "./wire.js" */
/** @typedef {IteratorResult<SafelightEvent, undefined>} Result */
/** @typedef {{resolve: (result: Result) => void, reject: (error: unknown) => void}} Pull */

/**
 * Whether an event is a fact: numbered, stored, told to everybody. All others are hints.
 *
 * @param {{n?: unknown}} event
 */
export const isFact = (event) => event.n === undefined;

/**
 * Hands events on in the order they came.
 *
 * A hint that has not been read when the next of its job, or model, and type comes is dropped, and the new one goes to
 * the end: a slow reader sees fewer hints, never staler ones, and every fact. So what waits is bounded by the facts,
 * of which a job has few.
 *
 * @implements {AsyncIterableIterator<SafelightEvent, undefined>}
 */
export class Reader {
  /** @type {Map<string, SafelightEvent>} */
  #waiting = new Map();
  /** @type {Pull[]} */
  #pulls = [];
  #hasEnded = false;
  /** @type {unknown} */
  #error = undefined;
  #onLeave;
  #signal;
  /** @type {() => void} */
  #resolveBegun = () => {};
  /** @type {(error: unknown) => void} */
  #rejectBegun = () => {};
  /**
   * The server has agreed to tell: whatever happens from then on will come. What is listed afterwards leaves no gap.
   *
   * @type {Promise<void>}
   */
  begun = new Promise((resolve, reject) => {
    this.#resolveBegun = resolve;
    this.#rejectBegun = reject;
  });
  #after;

  /**
   * @param {{after?: number, signal?: AbortSignal, onLeave?: (reader: Reader) => void}} [options] `after`: facts up to
   *   this `seq` are left out. `onLeave`: called once, when nobody reads any more: at a `break`, an abort, the end
   */
  constructor({ after = 0, signal, onLeave } = {}) {
    this.#after = after;
    this.#onLeave = onLeave;
    this.#signal = signal;
    this.begun.catch(() => {}); // who does not wait for it is told by the reading
    if (signal?.aborted) this.#abort();
    else signal?.addEventListener("abort", this.#abort, { once: true });
  }

  /** The server has agreed; see `begun`. */
  begin() {
    this.#resolveBegun();
  }

  /**
   * Add an event. Ignored after the end.
   *
   * @param {SafelightEvent} event
   */
  put(event) {
    if (this.#hasEnded || (event.seq <= this.#after && event.job_id && isFact(event))) return;
    const pull = this.#pulls.shift();
    if (pull !== undefined) {
      pull.resolve({ value: event, done: false });
      return;
    }
    const about = event.job_id ?? /** @type {{model?: string}} */ (event.data).model ?? "";
    const key = isFact(event) ? `${about} ${event.seq}` : `${about} ${event.type}`;
    this.#waiting.delete(key);
    this.#waiting.set(key, event);
  }

  /**
   * Nothing comes after what is waiting; then iteration stops, or throws `error`.
   *
   * @param {unknown} [error]
   */
  end(error) {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#error = error;
    this.#rejectBegun(error ?? new Error("the reading has ended"));
    for (const pull of this.#pulls.splice(0)) this.#finish(pull);
    this.#left();
  }

  /** @returns {Promise<Result>} */
  next() {
    if (this.#signal?.aborted && this.#waiting.size > 0) this.#abort(); // after the end, and before all was read
    for (const [key, event] of this.#waiting) {
      this.#waiting.delete(key);
      return Promise.resolve({ value: event, done: false });
    }
    return new Promise((resolve, reject) => {
      const pull = { resolve, reject };
      if (this.#hasEnded) this.#finish(pull);
      else this.#pulls.push(pull);
    });
  }

  /** @returns {Promise<Result>} */
  return() {
    this.#waiting.clear();
    this.end();
    this.#error = undefined;
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  /** @param {Pull} pull */
  #finish(pull) {
    const error = this.#error;
    this.#error = undefined; // told once
    if (error === undefined) pull.resolve({ value: undefined, done: true });
    else pull.reject(error);
  }

  #left() {
    this.#signal?.removeEventListener("abort", this.#abort);
    this.#onLeave?.(this);
    this.#onLeave = undefined;
  }

  #abort = () => {
    this.#waiting.clear();
    this.#error = this.#signal?.reason;
    this.end(this.#error);
  };
}
