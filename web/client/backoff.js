/** How long to wait before trying again, and when to stop trying. */

const LONGEST_DELAY_MS = 10_000;

/** Delays that double from try to try, each cut by a random share so that many clients do not come back as one. */
export class Backoff {
  #patienceMs;
  #firstDelayMs;
  /** @type {number | null} */
  #since = null;
  /** Tries in a row that did not work. */
  failures = 0;

  /**
   * @param {number} patienceS how long without success until `isExhausted`; Infinity never gives up
   * @param {number} [firstDelayMs]
   */
  constructor(patienceS, firstDelayMs = 100) {
    this.#patienceMs = patienceS * 1000;
    this.#firstDelayMs = firstDelayMs;
  }

  /** Begin anew: the last try worked. */
  succeeded() {
    this.failures = 0;
    this.#since = null;
  }

  /** Count one more try that did not work. */
  failed() {
    this.failures += 1;
    this.#since ??= performance.now();
  }

  /** Whether patience has run out since the first of the failures in a row. */
  get isExhausted() {
    return this.#since !== null && performance.now() - this.#since >= this.#patienceMs;
  }

  /** How long to wait now: between half and all of the doubled delay. */
  delayMs() {
    const doubled = this.#firstDelayMs * 2 ** Math.min(Math.max(this.failures, 1) - 1, 32);
    return Math.min(doubled, LONGEST_DELAY_MS) * (0.5 + Math.random() / 2);
  }
}
