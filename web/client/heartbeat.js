/** Whether the other side is still there. A browser does not show a server's pings, so the client asks by itself. */

/** Of an answer, as a share of the silence that is asked after. */
const PATIENCE = 0.5;
/** So many times the patience late, a timer tells of a computer that slept, not of a server that is silent. */
const ASLEEP = 2;

export class Heartbeat {
  #silenceMs;
  #ask;
  #onDead;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer = undefined;
  #lastHeard = 0;
  /** @type {number | null} when a question was asked that nothing has answered yet */
  #asked = null;

  /**
   * @param {object} options
   * @param {number} options.silenceMs how long nothing may come before the other side is asked
   * @param {() => void} options.ask
   * @param {() => void} options.onDead called once: nothing came after a question
   */
  constructor({ silenceMs, ask, onDead }) {
    this.#silenceMs = silenceMs;
    this.#ask = ask;
    this.#onDead = onDead;
  }

  start() {
    this.heard();
    this.#checkIn(this.#silenceMs);
  }

  stop() {
    clearTimeout(this.#timer);
  }

  /** Something came; called for every message, so it sets no timer. */
  heard() {
    this.#lastHeard = performance.now();
    this.#asked = null;
  }

  /** Ask without waiting for silence. */
  askNow() {
    this.#asked = performance.now();
    this.#ask();
    this.#checkIn(this.#silenceMs * PATIENCE);
  }

  /** @param {number} delayMs */
  #checkIn(delayMs) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#check(), delayMs);
  }

  #check() {
    const now = performance.now();
    if (this.#asked === null) {
      const leftMs = this.#lastHeard + this.#silenceMs - now;
      if (leftMs > 0) this.#checkIn(leftMs);
      else this.askNow();
      return;
    }
    const wasAsleep = now - this.#asked > ASLEEP * this.#silenceMs * PATIENCE;
    if (wasAsleep) this.askNow(); // nobody has been listening either
    else this.#onDead();
  }
}
